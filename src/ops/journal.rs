//! The log as the journal of systemd takes it: each line begins with its priority (sd-daemon(3)), and has no time of its
//! own, because the journal has that.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, format};
use tracing_subscriber::registry::LookupSpan;

/// Whether standard error goes to the journal: systemd says to which device and inode it tied it (systemd.exec(5)).
pub fn is_ours() -> bool {
    let Ok(said) = std::env::var("JOURNAL_STREAM") else { return false };
    let error = || -> io::Result<String> {
        let file = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let metadata = file.metadata()?;
        Ok(format!("{}:{}", metadata.dev(), metadata.ino()))
    };
    error().is_ok_and(|ours| ours == said)
}

/// Writes lines for the journal.
pub struct Journal(Format<Full, ()>);

impl Default for Journal {
    fn default() -> Journal {
        Journal(format().without_time().with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// The priorities of syslog (RFC 5424 §6.2.1).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}
