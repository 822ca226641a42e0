//! The log put together: what is written where, in which form, and what is kept for those who ask.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use sluice_config::{Log, LogFormat};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::journal::{self, Journal};
use super::levels::{LevelError, Levels};
use super::log::{Lines, Lost, take_panics};
use super::recent::{self, Recent};

/// What there is to know of the log, and to change.
#[derive(Clone)]
pub struct Logging {
    /// What was lost on its way out.
    pub lost: Arc<Lost>,
    /// The last lines.
    pub recent: Arc<Recent>,
    /// Which lines are written.
    pub levels: Arc<Levels>,
}

/// Sends what this process logs to `lines`: text for a terminal, with priorities for the journal, or JSON.
///
/// # Errors
///
/// `log.level` is no filter.
pub fn start(log: &Log, lines: &Lines) -> Result<Logging, LevelError> {
    let (levels, filter) = Levels::new(&log.level)?;
    let written = tracing_subscriber::fmt::layer()
        .with_writer(lines.clone())
        // It would say with eprintln that a line could not be written, and that panics.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal());
    let written = match log.format {
        LogFormat::Text if journal::is_ours() => written.event_format(Journal::default()).boxed(),
        LogFormat::Text => written.boxed(),
        LogFormat::Json => written.json().boxed(),
    };
    let recent = Arc::<Recent>::default();
    tracing_subscriber::registry()
        .with(written.with_filter(filter))
        .with(recent::layer(recent.clone()))
        .init();
    take_panics();
    Ok(Logging { lost: lines.lost(), recent, levels: Arc::new(levels) })
}
