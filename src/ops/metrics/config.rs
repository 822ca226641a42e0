//! Metrics of the configuration, under the names that Prometheus has for its own.

use std::fmt;

use super::out::Out;
use crate::count::Reloads;

/// Writes them.
pub(super) fn encode(out: &mut Out<'_>, reloads: &Reloads) -> fmt::Result {
    let successful = if reloads.is_successful() { 1.0 } else { 0.0 };
    let help =
        "Whether the configuration could be used when it was last read; if not, the one before is in effect";
    out.gauge("config_last_reload_successful", help, [(vec![], successful)])?;
    let help = "When the configuration was last read and could be used, in seconds since 1970";
    let at = reloads.succeeded_ms() as f64 / 1e3;
    out.gauge("config_last_reload_success_timestamp_seconds", help, [(vec![], at)])
}
