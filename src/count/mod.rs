//! Counting: plain numbers that one thread writes and a scrape reads. The ground floor: names nobody above it.

pub mod counters;
mod ends;
pub mod feedback;
pub mod histogram;

pub use ends::EndReason;
