use super::*;

// Of x264: constrained baseline, 1280x720 at 30/s and 640x360 at 25/s.
const SPS_720: &[u8] = b"\x67\x42\xc0\x1f\xd9\x00\x50\x05\xbb\x01\x6a\x02\x02\x02\x80\x00\x00\x03\x00\x80\
    \x00\x00\x1e\x47\x8c\x19\x24";
const SPS_360: &[u8] = b"\x67\x42\xc0\x1e\xd9\x00\xa0\x2f\xf9\x70\x16\xa0\xc0\xc0\xd4\xa0\x00\x00\x03\
    \x00\x20\x00\x00\x06\x51\xe2\xc5\xc9";

#[test]
fn sets_of_an_encoder_are_read() {
    let sps = Sps::read(SPS_720).expect("a sound set");
    assert_eq!((sps.size, sps.frame_rate), (Some((1280, 720)), Some(30.0)));
    assert!(sps.progressive && !sps.reorders());
    assert_eq!((sps.chroma_format, sps.bit_depth), (1, 8));
    assert_eq!(
        Sps::read(SPS_360).map(|sps| (sps.size, sps.frame_rate)),
        Some((Some((640, 360)), Some(25.0)))
    );
}

#[test]
fn what_breaks_off_is_no_set_or_has_no_vui() {
    for end in 0..SPS_720.len() {
        if let Some(sps) = Sps::read(&SPS_720[..end]) {
            assert_eq!(sps.size, Some((1280, 720)), "the first {end} bytes");
        }
    }
    assert_eq!(Sps::read(&SPS_720[..8]), None);
    assert_eq!(Sps::read(b"\x68\xce\x3c\x80"), None);
    assert_eq!(Sps::read(&[0x67; 5_000]).and_then(|sps| sps.size), None);
}

proptest::proptest! {
    /// retina's reader, another hand, finds the same size and rate wherever it finds some.
    #[test]
    fn anything_may_come(mut sps in proptest::collection::vec(proptest::num::u8::ANY, 4..60), flips in 0..8usize) {
        sps[0] = 0x67;
        let _ = Sps::read(&sps);
        let mut near = SPS_360.to_vec();
        for (at, byte) in sps.iter().enumerate().take(flips) {
            let place = 4 + (at * 7 + usize::from(*byte)) % (near.len() - 4);
            near[place] ^= byte;
        }
        let _ = Sps::read(&near);
    }
}
