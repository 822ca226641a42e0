//! Parameter sets of a session description (`sprop-...`, RFC 6184 §8.1, RFC 7798 §7.1), as cameras write them.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use bytes::Bytes;

use super::{NalCodec, Role, START_CODE, find_start_code, trimmed};

/// Sets that are read at the most: a description may have any number. Encoders use two to four; more are the
/// camera's mistake, or an attack on memory.
const MAX_SETS: usize = 32;

/// Padding or none, and what is left in the last character ignored: a set that can be read is better than one that
/// is refused.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The parameter sets in the value of an `a=fmtp` attribute (all behind the payload type), each as a NAL unit.
///
/// Lenient, and each for itself: blanks, empty parts, base64 with or without its padding, start codes before a
/// set, several sets in one part. What is no parameter set is left out.
pub(crate) fn parameter_sets(codec: &dyn NalCodec, fmtp: &str) -> Vec<Bytes> {
    let mut sets = Vec::new();
    for parameter in fmtp.split(';') {
        // Only the first `=` separates: the others are base64's padding.
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if !codec.set_parameters().iter().any(|known| name.trim().eq_ignore_ascii_case(known)) {
            continue;
        }
        for part in value.split(',') {
            let characters = part.chars().filter(|c| !c.is_whitespace() && !matches!(c, '"' | '='));
            // The alphabet of URLs (RFC 4648 §5), from some.
            let text: String = characters
                .map(|c| match c {
                    '-' => '+',
                    '_' => '/',
                    c => c,
                })
                .collect();
            let Ok(bytes) = LENIENT.decode(text) else { continue };
            sets.extend(units(codec, &bytes));
        }
    }
    sets.truncate(MAX_SETS);
    sets
}

/// The parameter sets in `bytes`: one, or several with start codes.
fn units(codec: &dyn NalCodec, bytes: &[u8]) -> Vec<Bytes> {
    let mut units = Vec::new();
    let mut start = 0;
    loop {
        let code = find_start_code(bytes, start);
        let unit = trimmed(&bytes[start..code.unwrap_or(bytes.len())]);
        if matches!(codec.role(unit), Role::Set(_)) {
            units.push(Bytes::copy_from_slice(unit));
        }
        match code {
            Some(code) => start = code + START_CODE.len(),
            None => return units,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VideoCodec;

    fn parameter_sets(fmtp: &str) -> Vec<Bytes> {
        VideoCodec::H264.parameter_sets(fmtp)
    }

    // Z0IAHpWoKA9k and aM48gA== of many cameras.
    const SPS_NAL: &[u8] = &[0x67, 0x42, 0x00, 0x1e, 0x95, 0xa8, 0x28, 0x0f, 0x64];
    const PPS_NAL: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

    #[test]
    fn sets_are_read_however_they_are_written() {
        for fmtp in [
            "packetization-mode=1;profile-level-id=42001e;sprop-parameter-sets=Z0IAHpWoKA9k,aM48gA==",
            "sprop-parameter-sets=Z0IAHpWoKA9k,aM48gA==;",
            "sprop-parameter-sets=Z0IAHpWoKA9k,aM48gA==; ; packetization-mode=1;",
            "packetization-mode=1; Sprop-Parameter-Sets = Z0IAHpWoKA9k , aM48gA",
            "sprop-parameter-sets=Z0IAHpWoKA9k,,aM48gA=,",
            "sprop-parameter-sets=\"Z0IAHpWoKA9k,aM48gA==\"",
            "sprop-parameter-sets=Z0IAHpWoKA9k;sprop-parameter-sets=aM48gA===",
            "sprop-parameter-sets=Z0IA HpWoKA9k,!nonsense!,aM48gB==",
            // With start codes of four and three bytes; both in one part.
            "sprop-parameter-sets=AAAAAWdCAB6VqCgPZA==,AAABaM48gA==",
            "sprop-parameter-sets=AAAAAWdCAB6VqCgPZAAAAAFozjyA",
        ] {
            assert_eq!(parameter_sets(fmtp), [SPS_NAL, PPS_NAL], "{fmtp}");
        }
    }

    #[test]
    fn the_alphabet_of_urls_is_read_too() {
        let plain = parameter_sets("sprop-parameter-sets=Z0IA+/+/,aP+/+/8=");
        assert_eq!(plain.len(), 2);
        assert_eq!(parameter_sets("sprop-parameter-sets=Z0IA-_-_,aP-_-_8"), plain);
    }

    #[test]
    fn each_set_stands_for_itself_and_there_may_be_many() {
        let three = parameter_sets("sprop-parameter-sets=Z0IAHpWoKA9k,aM48gA==,aFzjyA==");
        assert_eq!(three, [SPS_NAL, PPS_NAL, &[0x68, 0x5c, 0xe3, 0xc8]]);
        assert_eq!(parameter_sets("sprop-parameter-sets=*,aM48gA=="), [PPS_NAL]);
        for nothing in
            ["", ";", "packetization-mode=1", "sprop-parameter-sets=", "sprop-parameter-sets", "x=Z0IA"]
        {
            assert!(parameter_sets(nothing).is_empty(), "{nothing}");
        }
        let endless = format!("sprop-parameter-sets={}", "aM48gA==,".repeat(1_000));
        assert_eq!(parameter_sets(&endless).len(), MAX_SETS);
    }
}
