//! How a metric is written: its description once, then a value for each set of labels.
//!
//! Owns the shapes (gauge, counter, histogram) over the library's encoder, and sums over shards. Knows no metric.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::count::histogram::Snapshot;
use crate::count::{Cell, ShardCounters};
use crate::shard::command::ShardHandle;

/// Names and values.
pub(super) type Labels = Vec<(&'static str, String)>;

/// Reads one number of a shard.
pub(super) type Read = fn(&ShardCounters) -> &Cell;

/// One label.
pub(super) fn label(name: &'static str, value: impl ToString) -> Labels {
    vec![(name, value.to_string())]
}

/// The sum of one number over all shards.
pub(super) fn sum(shards: &[Arc<ShardHandle>], read: Read) -> u64 {
    shards.iter().map(|shard| read(&shard.counters).get()).sum()
}

/// The sums of numbers of one family, each under its own value of `name`.
pub(super) fn sums(
    shards: &[Arc<ShardHandle>],
    name: &'static str,
    table: &[(&'static str, Read)],
) -> Vec<(Labels, u64)> {
    table.iter().map(|(value, read)| (label(name, value), sum(shards, *read))).collect()
}

/// One descriptor after the other.
pub(super) struct Out<'a>(pub(super) DescriptorEncoder<'a>);

impl Out<'_> {
    /// A value that goes up and down.
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let values = values.into_iter().map(|(labels, value)| (labels, ConstGauge::new(value)));
        self.family(name, help, MetricType::Gauge, values)
    }

    /// A count; the library puts `_total` behind `name`.
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let values = values.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
        self.family(name, help, MetricType::Counter, values)
    }

    /// A count of seconds.
    pub(super) fn seconds(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let values = values.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
        self.family(name, help, MetricType::Counter, values)
    }

    /// Observations by size.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, Snapshot)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Histogram, values)
    }

    fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        values: impl IntoIterator<Item = (Labels, impl EncodeMetric)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, kind)?;
        let mut values = values.into_iter().peekable();
        if let Some((_, value)) = values.next_if(|(labels, _)| labels.is_empty()) {
            return value.encode(metric);
        }
        for (labels, value) in values {
            value.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
