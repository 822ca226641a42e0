//! The last lines of the log, for those who ask over HTTP.
//!
//! Owns which lines are kept and how much of each. It is a layer of the log beside the one that writes lines out, with
//! a level of its own: that of joins and ends, so that a viewer's complaint can be followed without a restart.

use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use utoipa::ToSchema;

use crate::contain::lock;

/// Lines that are kept of each kind: those of `info` and above, and those of `debug`, which a rush of joins makes many
/// of. Each takes up to 1 KiB; fewer forget the beginning of trouble.
const LINES_MAX: usize = 2_000;

/// Bytes of one text in a line; the rest is cut off. More lets a hostile text take more memory.
const TEXT_MAX: usize = 512;

/// Bytes of all fields of a line.
const FIELDS_MAX: usize = 512;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LogLine)]
pub struct Line {
    /// Its place among all lines, from 1.
    pub number: u64,
    /// When it was said, in milliseconds since 1970.
    pub at_ms: u64,
    /// `error`, `warn`, `info` or `debug`.
    pub level: String,
    /// The part of the program that says it, as in `sluice::shard::watch`.
    pub part: String,
    /// The sentence.
    pub text: String,
    /// What it is about.
    pub fields: Vec<(String, String)>,
}

impl Line {
    /// A field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Which lines are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which<'a> {
    /// Those about this stream.
    pub stream: Option<&'a str>,
    /// Those about this session, by its short id.
    pub session: Option<&'a str>,
    /// Those with a greater number.
    pub after: u64,
    /// No more than so many: the newest.
    pub limit: usize,
    /// Without those of `debug`.
    pub terse: bool,
}

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    said: VecDeque<Line>,
    detail: VecDeque<Line>,
}

/// The last lines.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Kept>);

impl Recent {
    /// The lines asked for, the oldest first.
    pub fn lines(&self, which: &Which<'_>) -> Vec<Line> {
        let wanted = |line: &&Line| {
            line.number > which.after
                && which.stream.is_none_or(|stream| line.field("stream") == Some(stream))
                && which.session.is_none_or(|session| line.field("session") == Some(session))
        };
        let kept = lock(&self.0);
        let detail = kept.detail.iter().rev().filter(wanted).take(if which.terse { 0 } else { which.limit });
        let said = kept.said.iter().rev().filter(wanted).take(which.limit);
        let mut found: Vec<Line> = said.chain(detail).cloned().collect();
        drop(kept);
        found.sort_by_key(|line| line.number);
        found.split_off(found.len().saturating_sub(which.limit))
    }

    fn keep(&self, mut line: Line, detail: bool) {
        let mut kept = lock(&self.0);
        kept.next += 1;
        line.number = kept.next;
        let lines = if detail { &mut kept.detail } else { &mut kept.said };
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// The layer that keeps what Sluice itself says.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(recent: Arc<Recent>) -> impl Layer<S> {
    // Libraries quote what strangers send (`log::filter`).
    Keep(recent).with_filter(Targets::new().with_target("sluice", LevelFilter::DEBUG))
}

struct Keep(Arc<Recent>);

impl<S: Subscriber> Layer<S> for Keep {
    #[expect(clippy::disallowed_methods, reason = "a shell: a line has the time at which it is said")]
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (level, part) = (*event.metadata().level(), event.metadata().target());
        let mut line = Line {
            number: 0,
            at_ms: at.as_millis() as u64,
            level: level.as_str().to_ascii_lowercase(),
            part: part.to_owned(),
            text: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut Read { line: &mut line, left: FIELDS_MAX });
        self.0.keep(line, level > Level::INFO);
    }
}

/// Reads the fields of an event into a line.
struct Read<'a> {
    line: &'a mut Line,
    left: usize,
}

impl Visit for Read<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.line.text = cut(value, TEXT_MAX).to_owned();
            return;
        }
        let value = cut(value, self.left);
        self.left = self.left.saturating_sub(field.name().len() + value.len());
        if self.left > 0 {
            self.line.fields.push((field.name().to_owned(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing to a String cannot fail; a value's own word may.
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
    }
}

/// The beginning of a text, of at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn saying(say: impl FnOnce()) -> Arc<Recent> {
        let recent = Arc::<Recent>::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer(recent.clone())), say);
        recent
    }

    fn texts(recent: &Recent, which: &Which<'_>) -> Vec<String> {
        recent.lines(which).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_found_by_what_they_are_about_and_come_in_order() {
        let recent = saying(|| {
            tracing::info!(stream = "gate", "one");
            tracing::debug!(stream = "gate", session = "ab12cd34", "two");
            tracing::warn!(stream = "yard", "three");
            tracing::info!(stream = "gate", count = 7, "four");
        });
        let all = Which { limit: 10, ..Which::default() };
        assert_eq!(texts(&recent, &all), ["one", "two", "three", "four"]);
        assert_eq!(texts(&recent, &Which { stream: Some("gate"), ..all.clone() }), ["one", "two", "four"]);
        assert_eq!(texts(&recent, &Which { session: Some("ab12cd34"), ..all.clone() }), ["two"]);
        assert_eq!(texts(&recent, &Which { terse: true, ..all.clone() }), ["one", "three", "four"]);
        assert_eq!(texts(&recent, &Which { after: 2, ..all.clone() }), ["three", "four"]);
        assert_eq!(texts(&recent, &Which { limit: 2, ..all.clone() }), ["three", "four"], "the newest");
        assert_eq!(recent.lines(&all)[3].field("count"), Some("7"));
    }

    #[test]
    fn a_rush_of_joins_does_not_push_out_what_went_wrong() {
        let recent = saying(|| {
            tracing::error!("wrong");
            (0..3 * LINES_MAX).for_each(|_| tracing::debug!("viewer joins"));
        });
        let lines = recent.lines(&Which { limit: usize::MAX, ..Which::default() });
        assert_eq!((lines.len(), &*lines[0].text), (LINES_MAX + 1, "wrong"));
    }

    #[test]
    fn a_line_takes_no_more_than_its_bound_and_libraries_are_not_heard() {
        let recent = saying(|| {
            let long = "ü".repeat(10_000);
            tracing::warn!(long, other = 1, "{long}");
            tracing::warn!(target: "str0m::ice", "rtsp://user:canary@host");
        });
        let lines = recent.lines(&Which { limit: 10, ..Which::default() });
        assert_eq!(lines.len(), 1);
        assert!(lines[0].text.len() <= TEXT_MAX && format!("{:?}", lines[0].fields).len() < 2 * FIELDS_MAX);
    }
}
