//! Operations: what an operator reads: metrics, the log.

mod journal;
pub mod levels;
pub mod log;
pub mod logging;
pub mod metrics;
mod priorities;
pub mod recent;
