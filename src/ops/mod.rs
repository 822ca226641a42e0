//! Operations: what an operator reads: metrics, the log.

pub mod log;
pub mod metrics;
pub mod recent;
