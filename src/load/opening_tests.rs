//! What the player seals, by code of its own, the server opens: once, and nothing that was changed.

use sluice_io::MAX_DATAGRAM;
use sluice_media::srtp::{Keying, Library, Opener, ReportKeys, SENDERS_MAX};
use str0m::crypto::dtls::SrtpProfile;
use str0m::crypto::from_feature_flags;
use zeroize::Zeroizing;

use crate::srtp::Srtp;

/// A viewer that seals, by other code than ours, and the opener of its reports.
fn ends(profile: SrtpProfile) -> (Srtp, Opener) {
    ends_with(profile, Library::default())
}

fn ends_with(profile: SrtpProfile, library: Library) -> (Srtp, Opener) {
    let crypto = from_feature_flags();
    let material: Vec<u8> = (0..profile.keying_material_len() as u8).collect();
    let keying = |active| Keying { material: Zeroizing::new(material.clone()), profile, active };
    let viewer = Srtp::new(&crypto, &keying(true)).expect("a known profile");
    let keys = ReportKeys::derive(&keying(false), &crypto).expect("a known profile");
    (viewer, Opener::new(&keys, library).expect("keys that fit"))
}

fn compound() -> Vec<u8> {
    let mut compound = vec![0x80, 201, 0, 1, 0, 0, 0, 77];
    compound.extend([0x81, 206, 0, 2, 0, 0, 0, 77, 0, 0, 0, 88]);
    compound
}

#[test]
fn what_a_viewer_seals_is_opened_once_and_nothing_that_differs_in_a_byte() {
    for (profile, library) in
        SrtpProfile::ALL.iter().flat_map(|profile| Library::ALL.map(|library| (profile, library)))
    {
        let (mut viewer, mut opener) = ends_with(*profile, library);
        let mut room = [0; MAX_DATAGRAM];
        for _ in 0..3 {
            let sealed = viewer.seal_reports(&compound()).expect("an index is left");
            for at in 0..sealed.len() {
                let mut damaged = sealed.clone();
                damaged[at] ^= 1;
                assert_eq!(opener.open(&damaged, &mut room), None, "{profile}, {library}, byte {at}");
                assert_eq!(opener.open(&sealed[..at], &mut room), None, "{profile}, {library}, cut at {at}");
            }
            assert_eq!(opener.open(&sealed, &mut room), Some(&compound()[..]), "{profile}");
            assert_eq!(opener.open(&sealed, &mut room), None, "{profile}: it came before");
        }
    }
}

#[test]
fn reports_may_come_out_of_order_within_the_window_and_each_once() {
    let (mut viewer, mut opener) = ends(SrtpProfile::AEAD_AES_256_GCM);
    let sealed: Vec<_> = (0..200).filter_map(|_| viewer.seal_reports(&compound())).collect();
    let mut room = [0; MAX_DATAGRAM];
    let mut opens = |index: usize| opener.open(&sealed[index], &mut room).is_some();
    assert!(opens(100) && opens(99) && opens(37));
    assert!(!opens(36), "too old to tell");
    assert!(!opens(100) && !opens(37), "they came before");
    assert!(opens(163) && opens(101) && !opens(99), "it is at the edge now");
    assert!(opens(199));
}

#[test]
fn each_sender_of_a_session_counts_its_own_reports_and_there_is_a_bound_of_them() {
    let profile = SrtpProfile::AEAD_AES_256_GCM;
    let mut room = [0; MAX_DATAGRAM];
    let (mut video, mut opener) = ends(profile);
    let report = |ssrc: u8| [0x80, 201, 0, 1, 0, 0, 0, ssrc];
    for _ in 0..200 {
        let sealed = video.seal_reports(&report(1)).expect("an index is left");
        assert!(opener.open(&sealed, &mut room).is_some());
    }
    // The sound's first report, as a browser numbers it: from the beginning.
    for ssrc in 2..=SENDERS_MAX as u8 {
        let sealed = ends(profile).0.seal_reports(&report(ssrc)).expect("an index is left");
        assert!(opener.open(&sealed, &mut room).is_some(), "sender {ssrc}");
        assert!(opener.open(&sealed, &mut room).is_none(), "it came before");
    }
    let sealed = ends(profile).0.seal_reports(&report(99)).expect("an index is left");
    assert!(opener.open(&sealed, &mut room).is_none(), "one more than there may be");
}

#[test]
fn nothing_opens_what_is_in_clear_too_long_or_of_another_key() {
    let (mut viewer, mut opener) = ends(SrtpProfile::AEAD_AES_128_GCM);
    let mut room = [0; MAX_DATAGRAM];
    let mut clear = compound();
    clear.extend([0, 0, 0, 1]);
    assert_eq!(opener.open(&clear, &mut room), None);
    assert_eq!(opener.open(&[0x80; 4_000], &mut room), None);
    let (_, mut other) = ends(SrtpProfile::AEAD_AES_256_GCM);
    let sealed = viewer.seal_reports(&compound()).expect("an index is left");
    assert_eq!(other.open(&sealed, &mut room), None);
}
