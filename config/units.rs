//! Amounts with their unit written out: `8MiB`, `500ms`. It refuses a bare number of seconds, which reads as
//! milliseconds to half of its readers, and it never rounds.

use std::{fmt, str::FromStr, time::Duration};

/// A number of bytes, written `65536`, `64KiB`, `8MiB`, `1GiB`, or in powers of ten `1kB`, `1MB`, `1GB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

impl Bytes {
    /// `n` bytes.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// `n` times 1024 bytes.
    pub const fn kib(n: u32) -> Self {
        Self((n as u64) << 10)
    }

    /// `n` times 1,048,576 bytes.
    pub const fn mib(n: u32) -> Self {
        Self((n as u64) << 20)
    }

    /// The number of bytes, as lengths of memory are counted.
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// A number of bits a second, written `0` (no limit, where that is allowed), `500kbit/s`, `950Mbit/s`, `10Gbit/s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bitrate(u64);

impl Bitrate {
    /// `n` bits a second.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// The number of bytes a second; `None` for 0, which is no limit.
    pub fn bytes_per_second(self) -> Option<f64> {
        (self.0 > 0).then_some(self.0 as f64 / 8.0)
    }
}

/// Why an amount was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct UnitError {
    why: &'static str,
    /// What was probably meant, ready to be written instead.
    pub suggestion: Option<String>,
}

const BYTE_UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("KB", 1000),
    ("B", 1),
];

const RATE_UNITS: [(&str, u64); 4] =
    [("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1000), ("bit/s", 1)];

const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text)
            .ok_or(UnitError { why: "is not a whole number of bytes with a unit", suggestion: None })?;
        let factor = match unit {
            "" => 1,
            unit => BYTE_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(
                || {
                    let meant = match unit.to_ascii_lowercase().as_str() {
                        "k" | "kib" | "ki" => Some("KiB"),
                        "m" | "mib" | "mb" | "mi" => Some("MiB"),
                        "g" | "gib" | "gb" | "gi" => Some("GiB"),
                        _ => None,
                    };
                    UnitError {
                        why: "has a unit that is not B, KiB, MiB, GiB, kB, MB or GB",
                        suggestion: meant
                            .map(|unit| format!("{number}{unit}"))
                            .filter(|text| text.parse::<Bytes>().is_ok()),
                    }
                },
            )?,
        };
        number
            .checked_mul(factor)
            .map(Bytes)
            .ok_or(UnitError { why: "is more bytes than there are", suggestion: None })
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match BYTE_UNITS[..3].iter().find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Bitrate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        const WHY: &str = "is not 0 or a whole number with a unit of bit/s, kbit/s, Mbit/s or Gbit/s";
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        let number: u64 = number.parse().map_err(|_| UnitError { why: WHY, suggestion: None })?;
        if let Some((_, factor)) = RATE_UNITS.iter().find(|(name, _)| *name == unit) {
            let bits = number.checked_mul(*factor);
            return bits
                .map(Self)
                .ok_or(UnitError { why: "is more than any line carries", suggestion: None });
        }
        let meant = match unit.to_ascii_lowercase().as_str() {
            "" if number == 0 => return Ok(Self(0)),
            "g" | "gb" | "gbit" | "gbps" | "gb/s" | "gbit/s" => Some("Gbit/s"),
            "m" | "mb" | "mbit" | "mbps" | "mb/s" | "mbit/s" => Some("Mbit/s"),
            "k" | "kb" | "kbit" | "kbps" | "kb/s" | "kbit/s" => Some("kbit/s"),
            _ => None,
        };
        Err(UnitError { why: WHY, suggestion: meant.map(|unit| format!("{number}{unit}")) })
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match RATE_UNITS.iter().find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads `500ms`, `2s`, `1m` or `1h`. A number without a unit is an error that suggests seconds.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    const WHY: &str = "is not a whole number with one unit of ms, s, m or h";
    let (number, unit) = match split(text) {
        Some((number, "")) => {
            let suggestion = Some(format!("{number}s")).filter(|text| parse_duration(text).is_ok());
            return Err(UnitError { why: "has no unit", suggestion });
        }
        Some(parts) => parts,
        None if is_long(text) => {
            return Err(UnitError { why: "is longer than can be counted", suggestion: None });
        }
        None => {
            return Err(UnitError { why: WHY, suggestion: fraction_of_seconds(text).or_else(|| sum(text)) });
        }
    };
    let Some((_, factor)) = TIME_UNITS.iter().find(|(name, _)| *name == unit) else {
        let meant = match unit.to_ascii_lowercase().as_str() {
            "sec" | "secs" | "second" | "seconds" => Some("s"),
            "msec" | "millis" | "milliseconds" => Some("ms"),
            "min" | "mins" | "minute" | "minutes" => Some("m"),
            "hour" | "hours" => Some("h"),
            "d" | "day" | "days" => {
                let hours = number.checked_mul(24).map(|hours| format!("{hours}h"));
                return Err(UnitError { why: WHY, suggestion: hours });
            }
            folded => TIME_UNITS.iter().find(|(name, _)| *name == folded).map(|(name, _)| *name),
        };
        let suggestion =
            meant.map(|unit| format!("{number}{unit}")).filter(|text| parse_duration(text).is_ok());
        return Err(UnitError { why: WHY, suggestion });
    };
    number
        .checked_mul(*factor)
        .map(Duration::from_millis)
        .ok_or(UnitError { why: "is longer than can be counted", suggestion: None })
}

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that is exact; below a millisecond nothing is
/// shown.
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match TIME_UNITS.iter().find(|(_, factor)| millis != 0 && millis.is_multiple_of(u128::from(*factor))) {
        Some((unit, factor)) => format!("{}{unit}", millis / u128::from(*factor)),
        None => "0s".to_owned(),
    }
}

/// `8 MiB` into 8 and `MiB`; the unit may be missing, the number may not.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    if !unit.chars().all(char::is_alphabetic) {
        return None;
    }
    Some((number.parse().ok()?, unit))
}

/// Whether a number is more than can be counted, whatever its unit.
fn is_long(text: &str) -> bool {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    digits > 0 && text[..digits].parse::<u64>().is_err()
}

/// `1m30s` is `90s`.
fn sum(text: &str) -> Option<String> {
    let (mut rest, mut millis) = (text.trim(), 0_u64);
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at(end);
        let factor = match unit.trim() {
            "d" => 24 * 3_600_000,
            unit => TIME_UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = next;
    }
    Some(format_duration(Duration::from_millis(millis))).filter(|text| text != "0s")
}

/// `1.5s` is `1500ms`.
fn fraction_of_seconds(text: &str) -> Option<String> {
    let seconds: f64 = text.trim().strip_suffix('s')?.trim_end().parse().ok()?;
    let millis = seconds * 1000.0;
    ((1.0..1e12).contains(&millis) && millis.fract() == 0.0).then(|| format!("{millis}ms"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_bitrates() {
        for (text, bits) in [
            ("0", 0),
            ("800bit/s", 800),
            ("500kbit/s", 500_000),
            ("950 Mbit/s", 950_000_000),
            ("10Gbit/s", 10_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Bitrate::new(bits)), "{text}");
            assert_eq!(Bitrate::new(bits).to_string().parse(), Ok(Bitrate::new(bits)));
        }
        for (text, meant) in [
            ("1Gb/s", Some("1Gbit/s")),
            ("100mbps", Some("100Mbit/s")),
            ("5", None),
            ("fast", None),
            ("", None),
            ("1.5Gbit/s", None),
            ("99999999999Gbit/s", None),
        ] {
            let error = text.parse::<Bitrate>().expect_err(text);
            assert_eq!(error.suggestion.as_deref(), meant, "{text}");
        }
        assert_eq!(Bitrate::new(0).bytes_per_second(), None);
        assert_eq!(Bitrate::new(8_000).bytes_per_second(), Some(1_000.0));
    }

    #[test]
    fn reads_bytes() {
        for (text, bytes) in [
            ("0", 0),
            ("1200", 1200),
            ("5B", 5),
            ("64KiB", 65_536),
            ("8 MiB", 8 << 20),
            ("1GiB", 1 << 30),
            ("1kB", 1000),
            ("1KB", 1000),
            ("1MB", 1_000_000),
            ("2GB", 2_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn refuses_bytes_and_says_what_was_meant() {
        for (text, meant) in [
            ("8M", Some("8MiB")),
            ("8mib", Some("8MiB")),
            ("64k", Some("64KiB")),
            ("1.5MiB", None),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("8 parsecs", None),
            ("99999999999GiB", None),
            ("99999999999G", None),
            ("99999999999999999999999", None),
        ] {
            let error = text.parse::<Bytes>().expect_err(text);
            assert_eq!(error.suggestion.as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn reads_durations() {
        for (text, millis) in
            [("500ms", 500), ("2s", 2000), ("1m", 60_000), ("1h", 3_600_000), ("0s", 0), ("30 s", 30_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_durations_and_says_what_was_meant() {
        for (text, meant) in [
            ("2", Some("2s")),
            ("2S", Some("2s")),
            ("2sec", Some("2s")),
            ("5 minutes", Some("5m")),
            ("1.5s", Some("1500ms")),
            ("1m30s", Some("90s")),
            ("168h1s", Some("604801s")),
            ("1d12h", Some("36h")),
            ("1m30", None),
            ("1m-1s", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1d", Some("24h")),
            ("7 days", Some("168h")),
            ("99999999999999999h", None),
            ("18446744073709551615", None),
            ("99999999999999999H", None),
        ] {
            let error = parse_duration(text).expect_err(text);
            assert_eq!(error.suggestion.as_deref(), meant, "{text}");
        }
        for text in ["999999999999999999999h", "99999999999999999h", "99999999999999999999"] {
            assert_eq!(parse_duration(text).expect_err(text).why, "is longer than can be counted", "{text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_read_what_they_write(n: u64) {
            prop_assert_eq!(Bytes(n).to_string().parse(), Ok(Bytes(n)));
        }

        #[test]
        fn durations_read_what_they_write(millis in 0..=u64::MAX / 2) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn every_suggestion_is_accepted(text in "[0-9]{1,9}[ .]?([a-zA-Z0-9]{0,4}|[0-9]{0,12}[smhkMGB]{0,2})") {
            if let Err(UnitError { suggestion: Some(meant), .. }) = parse_duration(&text) {
                prop_assert!(parse_duration(&meant).is_ok(), "{} -> {}", text, meant);
            }
            if let Err(UnitError { suggestion: Some(meant), .. }) = text.parse::<Bytes>() {
                prop_assert!(meant.parse::<Bytes>().is_ok(), "{} -> {}", text, meant);
            }
        }
    }
}
