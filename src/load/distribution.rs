//! Distributions: quantiles of times.
//!
//! Owns how times are kept, how exact they are, and which quantiles are told. Never knows what the times are of.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The shares of values that a curve is drawn through: dense where service is bad.
const SHARES: [f64; 24] = [
    0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98,
    0.99, 0.995, 0.999, 0.9999, 1.0,
];

/// A time over this is kept as this: it is a failure anyway.
const TIME_MAX: Duration = Duration::from_secs(3_600);

/// Decimal digits that times keep. Three are 0.1 %, and 180 KiB a distribution.
const DIGITS: u8 = 3;

/// Times in microseconds; nothing is kept while there are none.
#[derive(Debug, Clone, Default)]
pub struct Times(Option<Box<Histogram<u64>>>);

impl Times {
    /// Adds those of others.
    pub fn add(&mut self, others: &Times) {
        match (&mut self.0, &others.0) {
            (_, None) => {}
            (Some(times), Some(others)) => times.add(&**others).expect("all have the same bounds"),
            (none, Some(others)) => *none = Some(others.clone()),
        }
    }
}

impl Extend<Duration> for Times {
    fn extend<I: IntoIterator<Item = Duration>>(&mut self, times: I) {
        for time in times {
            let histogram = self.0.get_or_insert_with(|| {
                let max = TIME_MAX.as_micros() as u64;
                Box::new(Histogram::new_with_max(max, DIGITS).expect("bounds that the library takes"))
            });
            histogram.saturating_record(time.as_micros() as u64);
        }
    }
}

/// Figures about one distribution, in seconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
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
    /// That of some times.
    pub fn of(times: &Times) -> Distribution {
        let Some(histogram) = &times.0 else { return Distribution::default() };
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
        let (mut times, mut others) = (Times::default(), Times::default());
        times.extend((1..=500).map(Duration::from_millis));
        others.extend((501..=1_000).map(Duration::from_millis));
        let mut all = Times::default();
        all.add(&times);
        all.add(&others);
        let distribution = Distribution::of(&all);
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
        assert!(Distribution::of(&Times::default()).is_empty());
    }
}
