//! Distributions: quantiles of times.
//!
//! Owns which quantiles are told and how exact they are. Never knows what the times are of.

use std::time::Duration;

use hdrhistogram::{Counter, Histogram};
use serde::Serialize;

/// The shares of values that a curve is drawn through: dense where service is bad.
const SHARES: [f64; 24] = [
    0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98,
    0.99, 0.995, 0.999, 0.9999, 1.0,
];

/// Figures about one distribution, in seconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Distribution {
    /// Values in it.
    pub count: u64,
    /// Median.
    pub p50: f64,
    /// 95 % are below.
    pub p95: f64,
    /// 99 % are below.
    pub p99: f64,
    /// The largest.
    pub max: f64,
    /// A curve from the smallest to the largest: shares of the values, and the value they are below.
    pub quantiles: [[f64; 2]; SHARES.len()],
}

impl Distribution {
    /// That of `values`, to three digits.
    pub fn of(values: impl Iterator<Item = Duration>) -> Distribution {
        // An hour in microseconds: what is longer is cut off, and is a failure anyway.
        let mut histogram =
            Histogram::<u64>::new_with_max(3_600_000_000, 3).expect("bounds that the library takes");
        values.for_each(|value| histogram.saturating_record(value.as_micros() as u64));
        Distribution::of_micros(&histogram)
    }

    /// That of a histogram in microseconds.
    pub fn of_micros<T: Counter>(histogram: &Histogram<T>) -> Distribution {
        let seconds = |micros: u64| micros as f64 / 1e6;
        let at = |share: f64| seconds(histogram.value_at_quantile(share));
        Distribution {
            count: histogram.len(),
            p50: at(0.50),
            p95: at(0.95),
            p99: at(0.99),
            max: seconds(histogram.max()),
            quantiles: SHARES.map(|share| [share, at(share)]),
        }
    }

    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_from_the_smallest_to_the_largest() {
        let distribution = Distribution::of((1..=1_000).map(Duration::from_millis));
        assert_eq!(distribution.count, 1_000);
        let near = |value: f64, wanted: f64| (value - wanted).abs() <= wanted / 500.0;
        assert!(near(distribution.p50, 0.5) && near(distribution.p99, 0.99), "{distribution:?}");
        let [[none, smallest], .., [all, largest]] = distribution.quantiles;
        assert_eq!((none, all), (0.0, 1.0));
        assert!(
            near(smallest, 0.001) && near(largest, 1.0) && largest == distribution.max,
            "{distribution:?}"
        );
        assert!(distribution.quantiles.is_sorted(), "{distribution:?}");
        assert!(Distribution::of(std::iter::empty()).is_empty());
    }
}
