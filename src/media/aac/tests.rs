use proptest::prelude::*;

use super::*;

const GENERIC: &str =
    "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=";

fn generic(config: &str) -> Result<Aac, AacConfigError> {
    Aac::read("MPEG4-GENERIC", &format!("{GENERIC}{config}"))
}

/// AU headers of 13 + 3 bits, then what they tell of.
fn packed(sizes: &[usize], data: &[u8]) -> Vec<u8> {
    let mut payload = (sizes.len() as u16 * 16).to_be_bytes().to_vec();
    sizes.iter().for_each(|size| payload.extend(((*size as u16) << 3).to_be_bytes()));
    payload.extend(data);
    payload
}

#[test]
fn what_cameras_announce_is_read() {
    for (config, sample_rate, channels) in [
        ("1408", 16_000, 1),
        ("1190", 48_000, 2),
        ("1210", 44_100, 2),
        ("1588", 8_000, 1),
        ("121056E500", 44_100, 2),
    ] {
        let aac = generic(config).expect("AAC-LC");
        assert_eq!(aac.config, AacConfig { sample_rate, channels }, "{config}");
        assert_eq!(AacConfig::read(&aac.config.bytes()), Ok(aac.config));
    }
    // The second as GStreamer writes it, which says that there is nothing behind it.
    for (config, sample_rate, channels) in
        [("400024203fc0", 44_100, 2), ("40002320adca00", 48_000, 2), ("400026103fc0", 24_000, 1)]
    {
        let aac = Aac::read("mp4a-latm", &format!("cpresent=0;config={config}")).expect("AAC-LC");
        assert_eq!(aac.config, AacConfig { sample_rate, channels }, "{config}");
    }
}

#[test]
fn what_is_not_carried_is_said() {
    use AacConfigError as E;
    for (config, expected) in [
        ("2B8A0800", E::HighEfficiency),
        ("EB8A0800", E::HighEfficiency),
        ("139056E5A0", E::HighEfficiency),
        ("0C10", E::Type(1)),
        ("1414", E::ShortUnits),
        ("1010", E::Rate(96_000)),
        ("11B0", E::Channels),
        ("1180", E::Channels),
        ("1", E::Malformed),
        ("", E::Malformed),
        ("11zz", E::Malformed),
        ("16", E::Malformed),
    ] {
        assert_eq!(generic(config), Err(expected), "{config}");
    }
    assert_eq!(Aac::read("mpeg4-generic", "mode=AAC-hbr"), Err(E::Missing));
    assert_eq!(Aac::read("mp4a-latm", "cpresent=1;config=400026103fc0"), Err(E::InBand));
    assert_eq!(Aac::read("mpeg4-generic", "sizelength=6;indexlength=2;config=1408"), Err(E::Packing));
    assert_eq!(Aac::read("mpeg4-generic", "ctsdeltalength=2;config=1408"), Err(E::Packing));
}

#[test]
fn units_of_a_packet_come_apart_and_fragments_together() {
    let mut depacketizer = AacDepacketizer::new(&generic("1408").expect("AAC-LC"));
    let mut push = |payload: &[u8], after_loss| depacketizer.push(payload, true, after_loss);
    assert_eq!(push(&packed(&[3], b"abc"), false), Ok(vec![Bytes::from("abc")]));
    assert_eq!(push(&packed(&[2, 1], b"abc"), false), Ok(vec![Bytes::from("ab"), Bytes::from("c")]));
    assert_eq!(push(&packed(&[5], b"abc"), false), Ok(vec![]));
    assert_eq!(push(&packed(&[5], b"de"), false), Ok(vec![Bytes::from("abcde")]));
    // The beginning is lost: what comes waits for what does not come, and harms nothing.
    assert_eq!(push(&packed(&[5], b"abc"), false), Ok(vec![]));
    assert_eq!(push(&packed(&[5], b"xy"), true), Ok(vec![]));
    assert_eq!(push(&packed(&[1], b"a"), false), Ok(vec![Bytes::from("a")]));
    for payload in
        [&b""[..], b"a", &packed(&[2, 2], b"abc"), &packed(&[0], b""), &[0, 0, 1, 2], &[0xff, 0xff, 1]]
    {
        assert_eq!(push(payload, false), Err(MalformedAac), "{payload:?}");
    }
    let adts = [0xff, 0xf1, 0x60, 0x40, 0x01, 0x3f, 0xfc, b'a', b'b'];
    assert_eq!(push(&adts, false), Ok(vec![Bytes::from("ab")]));
}

#[test]
fn elements_of_latm_end_with_a_marker() {
    let aac = Aac::read("MP4A-LATM", "cpresent=0;config=400026103fc0").expect("AAC-LC");
    let mut depacketizer = AacDepacketizer::new(&aac);
    let long: Vec<u8> = [&[255, 45][..], &[7; 300]].concat();
    assert_eq!(depacketizer.push(b"\x03abc", true, false), Ok(vec![Bytes::from("abc")]));
    assert_eq!(depacketizer.push(&long[..100], false, false), Ok(vec![]));
    assert_eq!(depacketizer.push(&long[100..], true, false), Ok(vec![Bytes::from(vec![7; 300])]));
    assert_eq!(depacketizer.push(&long[..100], false, false), Ok(vec![]));
    assert_eq!(depacketizer.push(&long[200..], true, true), Ok(vec![]), "its middle is lost");
    assert_eq!(depacketizer.push(b"\x03abc", true, false), Ok(vec![Bytes::from("abc")]));
    assert_eq!(depacketizer.push(b"\x09abc", true, false), Err(MalformedAac));
}

proptest! {
    #[test]
    fn whatever_comes_is_read_without_a_panic_and_within_bounds(
        config in proptest::collection::vec(any::<u8>(), 0..12),
        payloads in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..80), any::<bool>(), any::<bool>()), 0..40),
    ) {
        let digits: String = config.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = Aac::read("mp4a-latm", &format!("config={digits}"));
        let _ = generic(&digits);
        let latm = Aac::read("mp4a-latm", "config=400026103fc0");
        for aac in [generic("1408"), latm].into_iter().flatten() {
            let mut depacketizer = AacDepacketizer::new(&aac);
            for (payload, marker, after_loss) in &payloads {
                let units = depacketizer.push(payload, *marker, *after_loss).unwrap_or_default();
                prop_assert!(units.iter().all(|unit| !unit.is_empty() && unit.len() <= MAX_UNIT));
            }
        }
    }
}
