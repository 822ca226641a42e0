//! Counting: plain numbers that one thread writes and a scrape reads. The ground floor: names nobody above it.

pub mod access;
mod cell;
mod counters;
mod ends;
pub mod feedback;
mod gauge;
pub mod histogram;
mod reloads;
pub mod requests;
mod setup;
mod tls;
mod traffic;

pub use cell::Cell;
pub use counters::ShardCounters;
pub use ends::EndReason;
pub use gauge::Gauge;
pub use histogram::Histogram;
pub use reloads::Reloads;
pub use setup::Setup;
pub use tls::TlsCounters;
pub use traffic::Traffic;
