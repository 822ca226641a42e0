//! The log put together: what is written where, in which form, and what is kept for those who ask.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use sluice_config::{Log, LogFormat};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::journal::{self, Entries};
use super::levels::{LevelError, Levels};
use super::log::{Lines, take_panics};
use super::priorities::Priorities;
use super::recent::{self, Recent};

/// What there is to know of the log, and to change.
#[derive(Clone)]
pub struct Logging {
    /// On their way out.
    pub lines: Lines,
    /// The last lines.
    pub recent: Arc<Recent>,
    /// Which lines are written.
    pub levels: Arc<Levels>,
}

/// Sends what this process logs to `error`, as text or JSON. What is text goes past that to the journal of systemd if that
/// reads standard error: as entries with fields, or as lines with priorities where it takes none.
///
/// # Errors
///
/// `log.level` is no filter.
pub fn start(log: &Log, error: Lines) -> Result<Logging, LevelError> {
    let (levels, filter) = Levels::new(&log.level)?;
    let written = tracing_subscriber::fmt::layer()
        .with_writer(error.clone())
        // It would say with eprintln that a line could not be written, and that panics.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal());
    let journal = if log.format == LogFormat::Text { journal::find() } else { None };
    let (lines, written) = match (log.format, journal) {
        (LogFormat::Json, _) => (error, written.json().boxed()),
        (LogFormat::Text, Some(journal)) => (journal.clone(), Entries(journal).boxed()),
        (LogFormat::Text, None) if journal::is_ours() => {
            (error, written.event_format(Priorities::default()).boxed())
        }
        (LogFormat::Text, None) => (error, written.boxed()),
    };
    let recent = Arc::<Recent>::default();
    tracing_subscriber::registry()
        .with(written.with_filter(filter))
        .with(recent::layer(recent.clone()))
        .init();
    take_panics();
    Ok(Logging { lines, recent, levels: Arc::new(levels) })
}
