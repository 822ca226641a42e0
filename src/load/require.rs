//! Bounds that a load test must keep: `loss<0.1%`, `join_p99<500ms`.
//!
//! Owns their grammar and judgement. Never knows how a figure came about.

use std::fmt;
use std::str::FromStr;

/// What a figure is measured in; figures are in the base unit, bounds may be in others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 0 to 1; written as `0.001` or `0.1%`.
    Ratio,
    /// Seconds; written with `s`, `ms`, `us` or `ns`.
    Seconds,
    /// A number; written plainly.
    Count,
    /// Bytes; written with `B`, `KiB`, `MiB` or plainly.
    Bytes,
}

/// Every figure that can be bounded: name, unit, meaning.
pub const FIGURES: &[(&str, Unit, &str)] = &[
    ("failed", Unit::Count, "joins that failed, and viewers that ended before their time"),
    ("silent", Unit::Count, "viewers that connected and never got a packet"),
    ("stalled", Unit::Count, "viewers that had no packet for more than 2 s"),
    ("loss", Unit::Ratio, "packets that never came, after repair"),
    ("video_loss", Unit::Ratio, "video packets that never came, after repair"),
    ("sound_loss", Unit::Ratio, "sound packets that never came, in a later one neither (RED)"),
    ("loss_before_repair", Unit::Ratio, "packets that did not come the first time"),
    ("duplicates", Unit::Count, "packets that came again"),
    ("reordered", Unit::Count, "packets that came after a later one"),
    ("gap_max", Unit::Seconds, "the longest time any viewer had no packet"),
    ("join_p50", Unit::Seconds, "time to connect, median"),
    ("join_p95", Unit::Seconds, "time to connect"),
    ("join_p99", Unit::Seconds, "time to connect"),
    ("join_max", Unit::Seconds, "time to connect"),
    ("first_packet_p50", Unit::Seconds, "time to the first packet, median"),
    ("first_packet_p95", Unit::Seconds, "time to the first packet"),
    ("first_packet_p99", Unit::Seconds, "time to the first packet"),
    ("first_packet_max", Unit::Seconds, "time to the first packet"),
    (
        "delay_p50",
        Unit::Seconds,
        "age of pictures when they are complete, median; needs --verify and send times",
    ),
    ("delay_p95", Unit::Seconds, "age of pictures when they are complete"),
    ("delay_p99", Unit::Seconds, "age of pictures when they are complete"),
    ("delay_max", Unit::Seconds, "age of pictures when they are complete"),
    ("verify_errors", Unit::Count, "forged packets, malformed or frozen frames, starts without a keyframe"),
    ("server_cpu_per_packet", Unit::Seconds, "needs --server-pid"),
    ("server_cpu_per_join", Unit::Seconds, "needs --server-pid"),
    ("server_rss_per_viewer", Unit::Bytes, "needs --server-pid"),
];

/// One bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    /// The figure's name.
    pub figure: &'static str,
    below: bool,
    or_equal: bool,
    bound: f64,
    text: String,
}

/// Why a text is not a bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequirementError {
    /// No comparison in it.
    #[error("{0:?} is not a bound: write a figure, one of < <= > >=, and a value, as in loss<0.1%")]
    Shape(String),
    /// The figure is not known.
    #[error("{name:?} is not a figure; there are: {known}")]
    Figure {
        /// What was given.
        name: String,
        /// What there is.
        known: String,
    },
    /// The value has no number or a unit of something else.
    #[error("{value:?} is not a value of {figure}: write {example}")]
    Value {
        /// What was given.
        value: String,
        /// The figure.
        figure: &'static str,
        /// How it can be written.
        example: &'static str,
    },
}

impl Requirement {
    /// Whether a figure keeps the bound. A figure that was not measured does not.
    pub fn is_met_by(&self, figure: Option<f64>) -> bool {
        figure.is_some_and(|figure| match (self.below, self.or_equal) {
            (true, false) => figure < self.bound,
            (true, true) => figure <= self.bound,
            (false, false) => figure > self.bound,
            (false, true) => figure >= self.bound,
        })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Requirement, RequirementError> {
        let shape = || RequirementError::Shape(text.to_owned());
        let at = text.find(['<', '>']).ok_or_else(shape)?;
        let (name, rest) = (text[..at].trim(), &text[at + 1..]);
        let (or_equal, value) = match rest.strip_prefix('=') {
            Some(value) => (true, value.trim()),
            None => (false, rest.trim()),
        };
        let Some(&(figure, unit, _)) = FIGURES.iter().find(|(known, _, _)| *known == name) else {
            let known = FIGURES.iter().map(|(name, _, _)| *name).collect::<Vec<_>>().join(", ");
            return Err(RequirementError::Figure { name: name.to_owned(), known });
        };
        let bound = unit.parse(value).ok_or_else(|| RequirementError::Value {
            value: value.to_owned(),
            figure,
            example: unit.example(),
        })?;
        Ok(Requirement { figure, below: text[at..].starts_with('<'), or_equal, bound, text: text.to_owned() })
    }
}

impl Unit {
    fn parse(self, value: &str) -> Option<f64> {
        let end = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
        let (number, unit) = (&value[..end], value[end..].trim());
        let factor = match (self, unit) {
            (Unit::Ratio, "%") => 0.01,
            (Unit::Ratio | Unit::Count, "") | (Unit::Seconds, "s") | (Unit::Bytes, "" | "B") => 1.0,
            (Unit::Seconds, "ms") => 1e-3,
            (Unit::Seconds, "us" | "µs") => 1e-6,
            (Unit::Seconds, "ns") => 1e-9,
            (Unit::Bytes, "KiB") => 1_024.0,
            (Unit::Bytes, "MiB") => 1_048_576.0,
            _ => return None,
        };
        Some(number.parse::<f64>().ok()? * factor)
    }

    fn example(self) -> &'static str {
        match self {
            Unit::Ratio => "0.1% or 0.001",
            Unit::Seconds => "2s, 500ms, 700us or 900ns",
            Unit::Count => "a number without a unit",
            Unit::Bytes => "100KiB, 1MiB or 4096B",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Requirement {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn bounds_are_read_in_their_units() {
        for (text, figure, bound) in [
            ("loss<0.1%", "loss", 0.001),
            ("loss < 0.001", "loss", 0.001),
            ("join_p99<=500ms", "join_p99", 0.5),
            ("server_cpu_per_packet<900ns", "server_cpu_per_packet", 900e-9),
            ("server_rss_per_viewer<100KiB", "server_rss_per_viewer", 102_400.0),
            ("failed<1", "failed", 1.0),
        ] {
            let requirement = parse(text);
            assert_eq!(requirement.figure, figure, "{text}");
            assert!((requirement.bound - bound).abs() < 1e-12, "{text}: {}", requirement.bound);
            assert_eq!(requirement.to_string(), text);
        }
    }

    #[test]
    fn judgement_follows_the_comparison() {
        assert!(parse("failed<1").is_met_by(Some(0.0)));
        assert!(!parse("failed<1").is_met_by(Some(1.0)));
        assert!(parse("failed<=1").is_met_by(Some(1.0)));
        assert!(parse("duplicates>0").is_met_by(Some(1.0)));
        assert!(!parse("duplicates>0").is_met_by(Some(0.0)));
        assert!(parse("duplicates>=0").is_met_by(Some(0.0)));
        assert!(!parse("loss<1").is_met_by(None), "what was not measured is not kept");
    }

    #[test]
    fn what_is_not_a_bound_is_refused_with_the_way_out() {
        for (text, word) in [
            ("loss", "write a figure"),
            ("loss=1", "write a figure"),
            ("lost<1", "join_p99"),
            ("loss<", "0.1%"),
            ("loss<5ms", "0.1%"),
            ("join_p99<500", "500ms"),
            ("join_p99<1.2.3s", "500ms"),
            ("failed<1%", "without a unit"),
        ] {
            let error = text.parse::<Requirement>().expect_err(text).to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
