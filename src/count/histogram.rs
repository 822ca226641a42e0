//! Histograms with fixed buckets: plain numbers that one thread writes and a scrape reads.
//!
//! Owns the counting, and the sum over shards. What is observed, and into which buckets, is said where
//! a histogram is made (src/count/feedback.rs).

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::cell::Cell;

/// Buckets of a histogram at the most, without the one over all bounds. Each is a series for every label.
const BUCKETS_MAX: usize = 12;

/// Observations by size, with one writer.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// Observations at or under each bound and over the one before; then those over all of them.
    buckets: [Cell; BUCKETS_MAX + 1],
    /// The bits of an `f64`.
    sum: Cell,
}

impl Histogram {
    /// An empty histogram. `bounds` are the upper ones of its buckets, ascending, at most 12.
    pub const fn new(bounds: &'static [f64]) -> Histogram {
        assert!(bounds.len() <= BUCKETS_MAX, "more bounds than buckets");
        Histogram { bounds, buckets: [const { Cell::new() }; BUCKETS_MAX + 1], sum: Cell::new() }
    }

    /// Counts `value`. Only the owning thread may.
    pub fn observe(&self, value: f64) {
        self.observe_times(value, 1);
    }

    /// Counts a time in seconds, if there is one. Only the owning thread may.
    pub fn observe_some(&self, time: Option<Duration>) {
        if let Some(time) = time {
            self.observe(time.as_secs_f64());
        }
    }

    /// Counts `value` as often as it was seen. Only the owning thread may.
    pub fn observe_times(&self, value: f64, times: u64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        self.buckets[bucket].add(times);
        self.sum.set((f64::from_bits(self.sum.get()) + value * times as f64).to_bits());
    }

    /// Adds what was counted elsewhere by buckets of the same bounds, `sum` over all of it. Only the owning thread may.
    pub fn add(&self, counts: impl IntoIterator<Item = u64>, sum: f64) {
        for (bucket, count) in self.buckets[..=self.bounds.len()].iter().zip(counts) {
            if count > 0 {
                bucket.add(count);
            }
        }
        self.sum.set((f64::from_bits(self.sum.get()) + sum).to_bits());
    }
}

/// What histograms of equal bounds held when they were read, added up.
#[derive(Debug, Default)]
pub struct Snapshot {
    sum: f64,
    /// Upper bound, and how many lie at or under it and over the one before.
    buckets: Vec<(f64, u64)>,
}

impl Snapshot {
    /// Adds up `histograms`, which have the bounds of the first.
    pub fn of<'a>(histograms: impl IntoIterator<Item = &'a Histogram>) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for histogram in histograms {
            let bounds = histogram.bounds.iter().copied().chain([f64::INFINITY]);
            if snapshot.buckets.is_empty() {
                snapshot.buckets.extend(bounds.map(|bound| (bound, 0)));
            }
            for ((_, count), cell) in snapshot.buckets.iter_mut().zip(&histogram.buckets) {
                *count += cell.get();
            }
            snapshot.sum += f64::from_bits(histogram.sum.get());
        }
        snapshot
    }

    /// Observations in all.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// What was observed since the snapshot `before` of the same histograms.
    pub fn since(&self, before: &Snapshot) -> Snapshot {
        let earlier = before.buckets.iter().map(|(_, count)| *count).chain(std::iter::repeat(0));
        let buckets = self.buckets.iter().zip(earlier);
        let buckets = buckets.map(|((bound, count), earlier)| (*bound, count.saturating_sub(earlier)));
        Snapshot { sum: self.sum - before.sum, buckets: buckets.collect() }
    }

    /// The mean, if anything was observed.
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum / count as f64)
    }

    /// The value that a part `q` of all observations does not pass, 0 to 1, as Prometheus estimates it: evenly within a
    /// bucket, and the highest bound for what lies over it.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = q * self.count() as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for &(upper, count) in &self.buckets {
            let count = count as f64;
            if count > 0.0 && below + count >= rank {
                let within = if upper.is_finite() { (upper - lower) * (rank - below) / count } else { 0.0 };
                return Some(lower + within);
            }
            below += count;
            lower = if upper.is_finite() { upper } else { lower };
        }
        None
    }

    /// The sum of all observed values.
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

impl EncodeMetric for Snapshot {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_histogram::<NoLabelSet>(self.sum, self.count(), &self.buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_in_the_first_bucket_whose_bound_it_does_not_pass() {
        let (one, other) = (Histogram::new(&[0.0, 0.5, 1.0]), Histogram::new(&[0.0, 0.5, 1.0]));
        [0.0, 0.25, 0.5].iter().for_each(|value| one.observe(*value));
        [0.75, 1.0, 8.0].iter().for_each(|value| other.observe(*value));
        let snapshot = Snapshot::of([&one, &other]);
        let counts: Vec<u64> = snapshot.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [1, 2, 2, 1]);
        assert_eq!((snapshot.count(), snapshot.sum()), (6, 10.5));
    }

    #[test]
    fn what_was_seen_often_or_counted_elsewhere_is_as_if_it_had_been_observed_one_by_one() {
        let (one_by_one, at_once) = (Histogram::new(&[0.0, 0.5, 1.0]), Histogram::new(&[0.0, 0.5, 1.0]));
        [0.5, 0.5, 0.5, 1.0, 2.0].iter().for_each(|value| one_by_one.observe(*value));
        at_once.observe_times(0.5, 3);
        at_once.add([0, 0, 1, 1], 3.0);
        let (one_by_one, at_once) = (Snapshot::of([&one_by_one]), Snapshot::of([&at_once]));
        assert_eq!((one_by_one.buckets, one_by_one.sum), (at_once.buckets, at_once.sum));
    }

    #[test]
    fn what_came_between_two_snapshots_has_a_mean_and_quantiles() {
        let histogram = Histogram::new(&[1.0, 2.0, 4.0]);
        histogram.observe(100.0);
        let before = Snapshot::of([&histogram]);
        assert_eq!(Snapshot::of([&histogram]).since(&before).mean(), None);
        [0.5, 0.5, 1.5, 3.0].iter().for_each(|value| histogram.observe(*value));
        let between = Snapshot::of([&histogram]).since(&before);
        assert_eq!((between.count(), between.mean()), (4, Some(1.375)));
        assert_eq!([0.25, 0.5, 0.75, 1.0].map(|q| between.quantile(q)), [0.5, 1.0, 2.0, 4.0].map(Some));
        assert_eq!(
            Snapshot::of([&histogram]).quantile(1.0),
            Some(4.0),
            "what is over all bounds is at the highest"
        );
        assert_eq!(Snapshot::default().quantile(0.5), None);
    }
}
