//! Axes: from values to places, round numbers to mark, and how to write them.
//!
//! Owns nothing but arithmetic.

/// What an axis measures; values are in the base unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Written as a percentage.
    Share,
    /// Cores of CPU.
    Cores,
    /// Bytes.
    Bytes,
    /// Bits a second.
    BitRate,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// A value in words.
    pub fn write(self, value: f64) -> String {
        match self {
            Unit::Count => scaled(value, 1_000.0, &["", "k", "M", "G"]),
            Unit::Share => format!("{} %", short(value * 100.0)),
            Unit::Cores => short(value),
            Unit::Bytes => scaled(value, 1_024.0, &[" B", " KiB", " MiB", " GiB", " TiB"]),
            Unit::BitRate => scaled(value, 1_000.0, &[" bit/s", " kbit/s", " Mbit/s", " Gbit/s", " Tbit/s"]),
            Unit::Seconds if value >= 1.0 => format!("{} s", short(value)),
            Unit::Seconds if value >= 1e-3 || value == 0.0 => format!("{} ms", short(value * 1e3)),
            Unit::Seconds => format!("{} µs", short(value * 1e6)),
        }
    }

    /// Round numbers from 0 to the first at or over `max`: at most six steps of 1, 2 or 5 times a power.
    pub fn ticks(self, max: f64) -> Vec<f64> {
        // Bytes are round in powers of 1,024.
        let base = match self {
            Unit::Bytes => 1_024_f64.powf((max.max(1.0).ln() / 1_024_f64.ln()).floor()),
            _ => 1.0,
        };
        let smallest = match self {
            Unit::Count => 1.0,
            Unit::Share => 1e-6,
            _ => f64::MIN_POSITIVE,
        };
        let max = if max > 0.0 { max / base } else { 1.0 };
        let power = 10_f64.powf((max / 6.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let step = steps.into_iter().find(|step| *step * 6.0 >= max * 0.999_999).unwrap_or(10.0 * power);
        let step = step.max(smallest);
        let count = (max / step - 1e-6).ceil().max(1.0) as usize;
        (0..=count).map(|index| index as f64 * step * base).collect()
    }
}

/// Times of day of a test: round ones from 0 up to `length` seconds, and how each is written.
pub fn times(length: f64) -> Vec<(f64, String)> {
    const STEPS: [u32; 18] =
        [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400];
    let step = STEPS.into_iter().find(|step| f64::from(*step) * 8.0 >= length).unwrap_or(86_400);
    let marks = 0..=(length / f64::from(step)).floor() as u32;
    let write = |seconds: u32| match step {
        _ if seconds == 0 => "0".to_owned(),
        ..60 if length <= 120.0 => format!("{seconds} s"),
        ..60 => format!("{}:{:02}", seconds / 60, seconds % 60),
        60..3_600 if length <= 7_200.0 => format!("{} min", seconds / 60),
        60..3_600 => format!("{}:{:02} h", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} h", seconds / 3_600),
    };
    marks.map(|mark| (f64::from(mark * step), write(mark * step))).collect()
}

/// Powers of ten around `low` and `high`, both over 0.
pub fn decades(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    (first..=last.max(first + 1)).map(|power| 10_f64.powi(power)).collect()
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let (mut value, mut at) = (value, 0);
    while value >= base && at + 1 < units.len() {
        value /= base;
        at += 1;
    }
    format!("{}{}", short(value), units[at])
}

/// Three digits at the most, and no zeros that say nothing.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        value if value >= 0.01 => 3,
        _ => 5,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_have_their_unit() {
        for (unit, value, text) in [
            (Unit::Count, 368_600.0, "369k"),
            (Unit::Count, 20.0, "20"),
            (Unit::Share, 0.05, "5 %"),
            (Unit::Share, 0.000_004, "0.0004 %"),
            (Unit::Cores, 0.25, "0.25"),
            (Unit::Bytes, 1_610_612_736.0, "1.5 GiB"),
            (Unit::BitRate, 2.5e9, "2.5 Gbit/s"),
            (Unit::Seconds, 0.002_5, "2.5 ms"),
            (Unit::Seconds, 0.000_25, "250 µs"),
            (Unit::Seconds, 12.0, "12 s"),
            (Unit::Seconds, 0.0, "0 ms"),
        ] {
            assert_eq!(unit.write(value), text);
        }
    }

    #[test]
    fn ticks_are_round_and_reach_the_top() {
        assert_eq!(Unit::Count.ticks(10.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(Unit::Count.ticks(1.0), [0.0, 1.0]);
        assert_eq!(Unit::Count.ticks(0.0), [0.0, 1.0]);
        assert_eq!(Unit::Bytes.ticks(3.0 * 1_048_576.0).last(), Some(&(3.0 * 1_048_576.0)));
        for max in [0.013, 0.7, 1.01, 37.0, 182_900.0] {
            let ticks = Unit::Cores.ticks(max);
            assert!(
                (2..=7).contains(&ticks.len()) && *ticks.last().expect("some") >= max * 0.999,
                "{ticks:?}"
            );
        }
    }

    #[test]
    fn times_are_those_of_a_clock() {
        let last = |length| times(length).pop().expect("at least one");
        assert_eq!(last(8.2), (8.0, "8 s".to_owned()));
        assert_eq!(last(200.0), (180.0, "3:00".to_owned()));
        assert_eq!(last(3_600.0), (3_600.0, "60 min".to_owned()));
        assert_eq!(last(40_000.0), (36_000.0, "10 h".to_owned()));
        for length in [0.5, 10.0, 77.0, 500.0, 5_000.0, 50_000.0, 600_000.0] {
            assert!((1..=9).contains(&times(length).len()), "{length}: {:?}", times(length));
        }
    }

    #[test]
    fn decades_hold_what_is_between_them() {
        assert_eq!(decades(0.002, 0.03).len(), 3, "1, 10 and 100 ms");
        assert_eq!(decades(0.01, 0.01).len(), 2);
    }
}
