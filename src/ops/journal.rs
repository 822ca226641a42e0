//! The log as the journal of systemd has it: entries with fields, so that `journalctl SLUICE_STREAM=gate` finds what is
//! about a stream (systemd.io, "Native Journal Protocol").
//!
//! Owns the form of an entry and where it is sent. The crate that speaks this protocol for `tracing` sends from whichever
//! thread says something, and a journal that stands still would hold up a shard: here entries go the way of all
//! lines (`log`), and one that is cut is cut within a field.

use std::fmt::{Debug, Write as _};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::log::{LINE_MAX, Lines};

/// Where the journal takes entries, also those of a namespace (`LogNamespace=`).
const SOCKET: &str = "/run/systemd/journal/socket";

/// What names of our fields begin with: the journal has names of its own.
const PREFIX: &str = "SLUICE_";

/// Bytes of one value; the rest is cut off. More lets a hostile text push out what else an entry says.
const VALUE_MAX: usize = 512;

/// Bytes around the value of `MESSAGE` in the long form of a field.
const AROUND: usize = "MESSAGE\n".len() + size_of::<u64>() + 1;

/// The journal, if standard error goes there and it takes entries.
///
/// Nothing also when the kernel gives no thread: lines with priorities are read there as well.
pub fn find() -> Option<Lines> {
    let there = is_ours() && Path::new(SOCKET).exists();
    there.then(|| Socket::new(SOCKET).and_then(|socket| Lines::start("journal", socket)).ok())?
}

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

/// The way into the journal: what is written at once is one entry. It is named each time, because a journal that was
/// started anew has another socket.
struct Socket {
    socket: UnixDatagram,
    to: PathBuf,
}

impl Socket {
    fn new(to: impl Into<PathBuf>) -> io::Result<Socket> {
        Ok(Socket { socket: UnixDatagram::unbound()?, to: to.into() })
    }
}

impl Write for Socket {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        self.socket.send_to(entry, &self.to)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes an entry of each line.
pub struct Entries(pub Lines);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Entries {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.put(&entry(event));
    }
}

/// An event with its fields, no longer than a line.
fn entry(event: &Event<'_>) -> Vec<u8> {
    let metadata = event.metadata();
    let mut entry = Entry::default();
    entry.field("PRIORITY", &priority(*metadata.level()).to_string());
    entry.field("SYSLOG_IDENTIFIER", "sluice");
    entry.field("SLUICE_PART", metadata.target());
    if let Some(file) = metadata.file() {
        entry.field("CODE_FILE", file);
    }
    if let Some(line) = metadata.line() {
        entry.field("CODE_LINE", &line.to_string());
    }
    event.record(&mut entry);
    entry.finish()
}

/// An entry under way.
#[derive(Default)]
struct Entry {
    bytes: Vec<u8>,
    /// The sentence.
    said: String,
    /// The fields as people read them: journalctl shows only `MESSAGE` unless it is asked for more.
    about: String,
}

impl Entry {
    fn field(&mut self, name: &str, value: &str) {
        self.bytes.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            self.bytes.push(b'\n');
            self.bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.bytes.push(b'=');
        }
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(b'\n');
    }

    fn value(&mut self, name: &str, value: &str, shown: &str) {
        if name == "message" {
            value.clone_into(&mut self.said);
            return;
        }
        // Writing to a String cannot fail.
        let _ = write!(self.about, " {name}={shown}");
        let value = cut(value, VALUE_MAX);
        // Its sentence has the most of an entry's room.
        if self.bytes.len() + name.len() + value.len() < LINE_MAX / 2 {
            self.field(&name_of(name), value);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let room = LINE_MAX.saturating_sub(self.bytes.len() + AROUND);
        let message = format!("{}{}", self.said, self.about);
        self.field("MESSAGE", cut(&message, room));
        self.bytes
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.value(field.name(), value, &format!("{value:?}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        self.value(field.name(), &text, &text);
    }
}

/// The name of a field as the journal takes it: capital letters, digits and underscores, 64 at the most.
fn name_of(field: &str) -> String {
    let letter = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_uppercase() } else { b'_' };
    let letters = field.bytes().take(64 - PREFIX.len()).map(|byte| char::from(letter(byte)));
    PREFIX.chars().chain(letters).collect()
}

/// The beginning of a text, of at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// The priorities of syslog (RFC 5424 §6.2.1).
pub fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
