//! A histogram of a server's metrics: what was observed between two scrapes, and its quantiles.
//!
//! Owns the reading of cumulative buckets, and how much they can tell. Never scrapes.

use std::collections::BTreeMap;

/// Observations at or under each bound, summed over labels. Bounds are kept by their bits, which are in order for
/// what is not negative.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u64, u64>);

impl Histogram {
    /// The histogram `name` in the text format of OpenMetrics; empty if it is not there.
    pub fn read(text: &str, name: &str) -> Histogram {
        let mut buckets = BTreeMap::new();
        let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix("_bucket{"));
        for (labels, value) in lines.filter_map(|rest| rest.rsplit_once("} ")) {
            let bound = labels.split(',').find_map(|pair| pair.strip_prefix("le=\"")?.strip_suffix('"'));
            let bound = bound.and_then(|bound| bound.replace("+Inf", "inf").parse::<f64>().ok());
            if let (Some(bound), Ok(count)) = (bound, value.parse::<u64>()) {
                *buckets.entry(bound.to_bits()).or_default() += count;
            }
        }
        Histogram(buckets)
    }

    /// What came after `earlier`.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let before = |bound| earlier.0.get(bound).copied().unwrap_or(0);
        Histogram(self.0.iter().map(|(bound, count)| (*bound, count.saturating_sub(before(bound)))).collect())
    }

    /// The value that `part` of all observations do not exceed, by a straight line through its bucket; or why it cannot
    /// be told.
    pub fn quantile(&self, part: f64) -> Result<f64, String> {
        let all = self.0.values().max().copied().unwrap_or(0);
        if all == 0 {
            return Err("nothing was observed".to_owned());
        }
        let rank = part * all as f64;
        let (mut low, mut below) = (0.0, 0);
        for (bound, &count) in self.0.iter().map(|(bits, count)| (f64::from_bits(*bits), count)) {
            if count as f64 >= rank && count > below {
                if bound.is_infinite() {
                    return Err(format!("it is more than {low}, the last bound that the server counts by"));
                }
                return Ok(low + (bound - low) * (rank - below as f64) / (count - below) as f64);
            }
            (low, below) = (bound, count);
        }
        Err("its buckets do not add up".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE d_seconds histogram\n\
        d_seconds_sum{shard=\"0\"} 1.5\nd_seconds_count{shard=\"0\"} 100\n\
        d_seconds_bucket{le=\"0.001\",shard=\"0\"} 50\nd_seconds_bucket{le=\"0.002\",shard=\"0\"} 90\n\
        d_seconds_bucket{le=\"+Inf\",shard=\"0\"} 100\n\
        d_seconds_bucket{le=\"0.001\",shard=\"1\"} 50\nd_seconds_bucket{le=\"0.002\",shard=\"1\"} 90\n\
        d_seconds_bucket{le=\"+Inf\",shard=\"1\"} 90\nother_d_seconds_bucket{le=\"1.0\"} 7\n";

    #[test]
    fn quantiles_are_of_all_labels_together() {
        let histogram = Histogram::read(TEXT, "d_seconds");
        let near = |part, expected: f64| {
            let value = histogram.quantile(part).expect("in a bucket");
            assert!((value - expected).abs() < 1e-9, "{value} and not {expected}");
        };
        // 100 of 190 within the first bucket, 80 more within the second.
        near(50.0 / 190.0, 0.000_5);
        near(100.0 / 190.0, 0.001);
        near(140.0 / 190.0, 0.001_5);
        let error = histogram.quantile(0.99).expect_err("over all bounds");
        assert!(error.contains("0.002"), "{error}");
    }

    #[test]
    fn what_came_before_does_not_count() {
        let earlier =
            Histogram::read("d_bucket{le=\"1\"} 90\nd_bucket{le=\"2\"} 90\nd_bucket{le=\"+Inf\"} 90\n", "d");
        let later = Histogram::read(
            "d_bucket{le=\"1\"} 90\nd_bucket{le=\"2\"} 100\nd_bucket{le=\"+Inf\"} 100\n",
            "d",
        );
        assert_eq!(earlier.quantile(0.5), Ok(0.5 / 0.9 * 0.9));
        assert_eq!(later.since(&earlier).quantile(0.5), Ok(1.5));
        assert!(earlier.since(&earlier).quantile(0.5).expect_err("nothing came").contains("nothing"));
        assert!(Histogram::read("", "d").quantile(0.5).is_err());
    }
}
