//! Operations: what an operator looks at. Counters, metrics, health, pages.

pub mod admin;
pub mod counters;
pub mod feedback;
pub mod histogram;
pub mod hosts;
pub mod log;
pub mod metrics;
pub mod pages;
pub mod streams;
