//! A figure measured several times: its median, and how far the rounds lie apart.
//!
//! Owns that arithmetic and how it is written. Never knows what the figure is of.

use serde::Serialize;

/// Rounds of one figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; of an even number the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// How many there are.
    pub rounds: usize,
}

impl Spread {
    /// Of the rounds that have the figure; none if none has.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Spread { median: (low + high) / 2.0, min, max, rounds: values.len() })
    }

    /// The median, and behind it the smallest and the largest if there are several: `2478 (2401 to 2533)`.
    pub fn text(&self, write: impl Fn(f64) -> String) -> String {
        match self.rounds {
            1 => write(self.median),
            _ => format!("{} ({} to {})", write(self.median), write(self.min), write(self.max)),
        }
    }
}

/// A figure that may not have been measured, written.
pub fn text(spread: Option<Spread>, write: impl Fn(f64) -> String) -> String {
    spread.map_or("-".to_owned(), |spread| spread.text(write))
}

/// A number with so many digits behind the point, and thousands set apart: `1,234.5`.
pub fn number(value: f64, digits: usize) -> String {
    let plain = format!("{:.digits$}", value.abs());
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut text = String::new();
    for (place, digit) in whole.char_indices() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    let sign =
        if value < 0.0 && plain.contains(|digit: char| ('1'..='9').contains(&digit)) { "-" } else { "" };
    format!("{sign}{text}{rest}")
}

/// `0.0123` as `1.23 %`.
pub fn percent(value: f64) -> String {
    match value {
        0.0 => "0 %".to_owned(),
        small if small.abs() < 0.001 => format!("{} %", number(value * 100.0, 4)),
        _ => format!("{} %", number(value * 100.0, 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_outliers_only_show_in_the_spread() {
        let spread = Spread::of([3.0, 100.0, 1.0]).expect("three rounds");
        assert_eq!(spread, Spread { median: 3.0, min: 1.0, max: 100.0, rounds: 3 });
        assert_eq!(Spread::of([4.0, 2.0]).expect("two rounds").median, 3.0);
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN, 5.0]).expect("one round").rounds, 1, "0 of 0 packets is no figure");
    }

    #[test]
    fn one_round_has_no_spread() {
        let write = |value| number(value, 0);
        assert_eq!(text(Spread::of([2_478.4]), write), "2,478");
        assert_eq!(text(Spread::of([2.0, 1.0, 3.0]), write), "2 (1 to 3)");
        assert_eq!(text(None, write), "-");
    }

    #[test]
    fn numbers_are_written_in_groups() {
        for (value, digits, expected) in [
            (0.0, 0, "0"),
            (999.6, 0, "1,000"),
            (1_234_567.0, 0, "1,234,567"),
            (12_345.678, 1, "12,345.7"),
            (-1_500.0, 0, "-1,500"),
            (-0.04, 1, "0.0"),
        ] {
            assert_eq!(number(value, digits), expected);
        }
        assert_eq!(
            (percent(0.0), percent(0.0123), percent(0.000_004)),
            ("0 %".into(), "1.23 %".into(), "0.0004 %".into())
        );
    }
}
