//! Times as Go writes them, which configurations of other servers do.

use std::time::Duration;

/// A time as Go writes it, with days: `10s`, `1m30s`, `1.5h`, `2d12h`.
pub fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut whole = Duration::ZERO;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = rest[number..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| number + end);
        let seconds = match &rest[number..unit] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        let value: f64 = rest[..number].parse().ok()?;
        whole = whole.checked_add(Duration::try_from_secs_f64(value * seconds).ok()?)?;
        rest = &rest[unit..];
    }
    (!text.trim().is_empty()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_go_writes_them() {
        for (text, seconds) in [
            ("10s", 10.0),
            ("1m30s", 90.0),
            ("1.5h", 5_400.0),
            ("1d1h", 90_000.0),
            ("500ms", 0.5),
            ("0s", 0.0),
        ] {
            assert_eq!(go_duration(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "10", "s", "10x", "-1s", "1e9d"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }
}
