//! One measured value that one thread sets and others read; nothing until it was measured.

use std::sync::atomic::{AtomicU64, Ordering};

/// A value that goes up and down, in the unit that its field names.
#[derive(Debug)]
pub struct Gauge(AtomicU64);

/// How "not measured" is kept: no measure gives it.
const UNKNOWN: f64 = f64::NAN;

impl Gauge {
    /// Sets the value, or says that there is none any more.
    pub fn set(&self, value: Option<f64>) {
        self.0.store(value.unwrap_or(UNKNOWN).to_bits(), Ordering::Relaxed);
    }

    /// Reads the value, if there is one.
    pub fn get(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Ordering::Relaxed))).filter(|value| !value.is_nan())
    }
}

impl Default for Gauge {
    fn default() -> Gauge {
        Gauge(AtomicU64::new(UNKNOWN.to_bits()))
    }
}
