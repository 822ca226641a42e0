//! Lines that the journal of systemd reads from standard error: each begins with its priority (sd-daemon(3)), and has no time
//! of its own, because the journal has that.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, format};
use tracing_subscriber::registry::LookupSpan;

use super::journal::priority;

/// Writes lines for the journal.
pub struct Priorities(Format<Full, ()>);

impl Default for Priorities {
    fn default() -> Priorities {
        Priorities(format().without_time().with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for Priorities
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
