//! Counting: plain numbers that one thread writes and a scrape reads. The ground floor: names nobody above it.

mod cell;
mod counters;
mod ends;
pub mod feedback;
pub mod histogram;
mod tls;

pub use cell::Cell;
pub use counters::ShardCounters;
pub use ends::EndReason;
pub use tls::TlsCounters;
