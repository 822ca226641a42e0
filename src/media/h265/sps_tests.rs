use super::*;

// Of x265: Main, 1280x720, no B pictures.
const SPS_720: &[u8] =
    b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x5d\xa0\x02\x80\x80\
    \x2d\x16\x59\x2a\x49\x32\xbc\x05\xa0\x20\x00\x00\x03\x00\x20\x00\x00\x03\x03\xc1";
// Main, 640x360, no B pictures.
const SPS_360: &[u8] =
    b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3f\xa0\x05\x02\x01\
    \x69\x65\x92\xa4\x93\x2b\xc0\x5a\x02\x00\x00\x03\x00\x02\x00\x00\x03\x00\x32\x10";
// Main 10, 640x360, B pictures.
const SPS_10: &[u8] =
    b"\x42\x01\x01\x02\x20\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3f\xa0\x05\x02\x01\
    \x69\x36\x59\x59\x64\x93\x2b\xc0\x5a\x02\x00\x00\x03\x00\x02\x00\x00\x03\x00\x32\x10";

#[test]
fn sets_of_an_encoder_are_read() {
    for (nal, profile, level, size, reorders) in [
        (SPS_720, 1, 93, (1_280, 720), false),
        (SPS_360, 1, 63, (640, 360), false),
        (SPS_10, 2, 63, (640, 360), true),
    ] {
        let sps = Sps::read(nal).expect("a sound set");
        assert_eq!((sps.vps, sps.id, sps.profile, sps.level), (0, 0, profile, level));
        assert!(!sps.high_tier && !sps.interlaced);
        assert_eq!(sps.picture, Some(Picture { chroma_format: 1, size: Some(size), reorders }));
    }
}

#[test]
fn a_set_that_is_cut_keeps_what_it_said_before() {
    let whole = Sps::read(SPS_720).expect("a sound set");
    let mut known = 0;
    for end in 0..SPS_720.len() {
        let Some(sps) = Sps::read(&SPS_720[..end]) else { continue };
        assert_eq!((sps.id, sps.profile, sps.level), (whole.id, whole.profile, whole.level), "{end}");
        assert!(sps.picture.is_none_or(|picture| picture.size == Some((1_280, 720))), "{end}");
        known += 1;
    }
    assert!(known > 10);
    for other in [&[][..], &[0x42, 0x01], &[0x40, 0x01, 0xff, 0xff], &[0x42, 0x09, 0x01]] {
        assert_eq!(Sps::read(other), None);
    }
}

#[test]
fn sub_layers_and_fields_are_told() {
    // Three sub-layers: flags for two of them, of which the first has a profile and a level and the second a level.
    let bits = format!(
        "{:04b}{:03b}1{:02b}0{:05b}{:032b}{}{:046b}{:08b}{}{}{:088b}{:08b}{:08b}1",
        3,
        2,
        0,
        1,
        0,
        "01",
        0,
        120,
        "1101",
        "0".repeat(12),
        0,
        90,
        93
    );
    let padded = format!("{bits}{}", "0".repeat(8 - bits.len() % 8));
    let bytes = padded.as_bytes().chunks(8).map(|byte| {
        let text = std::str::from_utf8(byte).expect("digits");
        u8::from_str_radix(text, 2).expect("eight bits")
    });
    // As encoders write it: no start code inside.
    let mut nal = vec![0x42, 0x01];
    for byte in bytes {
        if byte <= 3 && nal.ends_with(&[0, 0]) {
            nal.push(3);
        }
        nal.push(byte);
    }
    let sps = Sps::read(&nal).expect("its id is there");
    assert_eq!((sps.vps, sps.id, sps.level, sps.interlaced, sps.picture), (3, 0, 120, true, None));
}

proptest::proptest! {
    #[test]
    fn rubbish_is_read_without_a_panic(payload in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
        let _ = Sps::read(&[&[0x42, 0x01][..], &payload].concat());
    }
}
