use proptest::prelude::*;
use str0m::ice::{StunMessage, StunMessageBuilder, TransId};

use super::*;

/// One attribute, padded.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_be_bytes(), (value.len() as u16).to_be_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn message(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes = attributes.concat();
    let mut bytes = [kind.to_be_bytes(), (attributes.len() as u16).to_be_bytes()].concat();
    bytes.extend(MAGIC);
    bytes.extend(1..=12);
    bytes.extend(attributes);
    bytes
}

fn user(name: &str) -> Vec<u8> {
    attribute(USERNAME, name.as_bytes())
}

fn priority() -> Vec<u8> {
    attribute(PRIORITY, &[1, 2, 3, 4])
}

fn integrity() -> Vec<u8> {
    attribute(MESSAGE_INTEGRITY, &[7; 20])
}

/// A request with `more` before its integrity.
fn request(more: &[Vec<u8>]) -> Vec<u8> {
    let parts = [&[user("ours:theirs"), priority()], more, &[integrity()]];
    message(0x0001, &parts.concat())
}

#[test]
fn a_check_of_a_browser_is_read() {
    // As Chromium sends it: network cost, controlling, USE-CANDIDATE, a last received check, fingerprint.
    let mut bytes = message(
        0x0001,
        &[
            user("ours:theirs"),
            attribute(NETWORK_COST, &[0, 1, 0, 10]),
            attribute(0x802a, &[9; 8]),
            attribute(USE_CANDIDATE, &[]),
            priority(),
            attribute(0xc05b, b"last"),
            integrity(),
            attribute(0x8028, &[1, 2, 3, 4]),
        ],
    );
    let check = Check::parse(&bytes).expect("a check");
    assert_eq!((check.ufrag, check.nominates), ("ours", true));
    assert_eq!(check.transaction, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    bytes.truncate(bytes.len() - 4);
    assert_eq!(Check::parse(&bytes), None, "its length is another");
    assert!(!Check::parse(&request(&[])).expect("a check").nominates);
}

#[test]
fn nothing_but_a_check_is_read() {
    let ok = [user("ours:theirs"), priority(), integrity()];
    assert!(Check::parse(&message(0x0001, &ok)).is_some());
    // Indication, success, error, and requests and indications of TURN.
    for kind in [0x0011, 0x0101, 0x0111, 0x0003, 0x0004, 0x0016, 0x0008, 0x0009, 0x3eef] {
        assert_eq!(Check::parse(&message(kind, &ok)), None, "{kind:#06x}");
    }
    for without in 0..3 {
        let mut parts = ok.to_vec();
        parts.remove(without);
        assert_eq!(Check::parse(&message(0x0001, &parts)), None, "without part {without}");
    }
    for name in ["", ":", "ours", "ours:", ":theirs"] {
        assert_eq!(Check::parse(&message(0x0001, &[user(name), priority(), integrity()])), None, "{name}");
    }
    assert_eq!(Check::parse(&request(&[user("ours:theirs")])), None, "two names");
    assert_eq!(Check::parse(&message(0x0001, &[user("a:b"), priority(), attribute(8, &[0; 16])])), None);
}

#[test]
fn what_a_library_would_log_is_refused() {
    // MAPPED-ADDRESS, UNKNOWN-ATTRIBUTES, ALTERNATE-SERVER, a network cost of three bytes.
    for (kind, value) in
        [(0x0001, &[][..]), (0x000a, &[]), (ALTERNATE_SERVER, &[]), (NETWORK_COST, &[1, 2, 3])]
    {
        assert_eq!(Check::parse(&request(&[attribute(kind, value)])), None, "{kind:#06x}");
    }
    // Nor another role than that of a peer of an agent that sends no checks.
    assert_eq!(Check::parse(&request(&[attribute(ICE_CONTROLLED, &[255; 8])])), None);
}

#[test]
fn attributes_and_bytes_are_bounded() {
    let some = |count| request(&vec![attribute(0xc001, &[]); count]);
    assert!(Check::parse(&some(ATTRIBUTES_MAX - 3)).is_some());
    assert_eq!(Check::parse(&some(ATTRIBUTES_MAX - 2)), None);
    assert_eq!(Check::parse(&message(0x0001, &vec![attribute(0x8022, &[]); 395])), None);
    let long = |bytes| request(&[attribute(0xc070, &vec![0; bytes])]);
    let most = CHECK_MAX - long(0).len();
    assert!(Check::parse(&long(most)).is_some());
    assert_eq!(Check::parse(&long(most + 4)), None);
}

#[test]
fn nominations_behind_the_integrity_do_not_count() {
    let mut bytes = request(&[]);
    bytes.extend(attribute(USE_CANDIDATE, &[]));
    bytes[3] += 4;
    assert!(!Check::parse(&bytes).expect("a check").nominates, "anyone could have put it there");
}

#[test]
fn an_answer_is_told_by_its_transaction() {
    let bytes = request(&[]);
    let check = Check::parse(&bytes).expect("a check");
    let answer = |kind| message(kind, &[]);
    assert!(check.is_answered_by(&answer(0x0101)));
    assert!(!check.is_answered_by(&answer(0x0111)), "an error is none");
    let mut other = answer(0x0101);
    other[19] ^= 1;
    assert!(!check.is_answered_by(&other));
    assert!(!check.is_answered_by(&[]));
}

proptest! {
    /// Whatever is taken for a check is one for the engine too, with the same meaning.
    #[test]
    fn the_engine_reads_a_check_the_same_way(
        damage in prop::collection::vec((0usize..120, any::<u8>()), 0..6),
        cut in 0usize..120,
    ) {
        let built: StunMessage<'_> = StunMessageBuilder::new()
            .binding()
            .request()
            .username("ours:theirs")
            .prio(1)
            .use_candidate()
            .ice_controlling(7)
            .build(TransId::new());
        let mut bytes = vec![0; 200];
        let length = built.to_bytes(Some(b"secret"), &mut bytes, |_, _| [0x5a; 20]).expect("room");
        bytes.truncate(length);
        prop_assert!(Check::parse(&bytes).is_some());
        for (at, value) in damage {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        if cut < 60 {
            bytes.truncate(bytes.len().saturating_sub(cut));
        }
        if let Some(check) = Check::parse(&bytes)
            && let Ok(message) = StunMessage::parse(&bytes)
        {
            prop_assert!(message.is_binding_request());
            prop_assert_eq!(message.split_username().map(|(ours, _)| ours), Some(check.ufrag));
            prop_assert!(!check.nominates || message.use_candidate());
        }
    }
}
