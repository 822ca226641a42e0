//! Format parameters of a payload type: the value of `a=fmtp` behind the number (RFC 8866 §6.15).

/// Parameters that are looked at. Codecs have 3 to 10; each look costs as many steps, and a payload type is looked at a
/// few times.
const PARAMETERS_MAX: usize = 32;

/// The value of a parameter, names compared without regard to case.
pub fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    parameters(fmtp).find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
}

/// Names and values, as far as they are looked at.
pub(crate) fn parameters(fmtp: &str) -> impl Iterator<Item = (&str, &str)> {
    fmtp.split(';').take(PARAMETERS_MAX).filter_map(|item| {
        // Only the first `=` separates: the others are base64's padding.
        let (key, value) = item.split_once('=')?;
        Some((key.trim(), value.trim()))
    })
}
