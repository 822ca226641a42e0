//! A profile as `go tool pprof` reads it: gzip of a `perftools.profiles.Profile`
//! (github.com/google/pprof/blob/main/proto/profile.proto).
//!
//! Owns the numbers of that message. Functions carry their names, so that the reader needs no binary.

use std::collections::HashMap;
use std::io::Write as _;
use std::time::UNIX_EPOCH;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::names::{Line, Names};
use super::wire::Message;
use super::{Frame, Kind, Profile, Sample};

/// What the kernel's part is called there, as `perf` calls it.
const KERNEL: &str = "[kernel.kallsyms]";

/// Writes it. `revision` is the commit of this build, which stands where pprof shows a build id.
pub fn encode(profile: &Profile, names: &mut Names, revision: &str) -> Vec<u8> {
    let mut writer =
        Writer { names, strings: Strings::new(), functions: HashMap::new(), locations: HashMap::new() };
    let message = writer.profile(profile, revision);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Into memory: it cannot fail.
    let _ = gzip.write_all(&message.into_bytes());
    gzip.finish().unwrap_or_default()
}

/// Strings by their place in the table.
struct Strings(HashMap<String, u64>);

impl Strings {
    fn new() -> Strings {
        // The first has to be the empty one.
        Strings(HashMap::from([(String::new(), 0)]))
    }

    fn of(&mut self, text: &str) -> u64 {
        if let Some(at) = self.0.get(text) {
            return *at;
        }
        let at = self.0.len() as u64;
        self.0.insert(text.to_owned(), at);
        at
    }

    fn into_sorted(self) -> Vec<String> {
        let mut all: Vec<(String, u64)> = self.0.into_iter().collect();
        all.sort_by_key(|(_, at)| *at);
        all.into_iter().map(|(text, _)| text).collect()
    }
}

struct Writer<'a> {
    names: &'a mut Names,
    strings: Strings,
    functions: HashMap<(String, String), u64>,
    /// With their lines, as functions and line numbers.
    locations: HashMap<Frame, (u64, Vec<(u64, u32)>)>,
}

impl Writer<'_> {
    fn profile(&mut self, profile: &Profile, revision: &str) -> Message {
        let mut message = Message::default();
        for kind in profile.kinds {
            message.message(1, |message| self.kind(message, *kind));
        }
        for sample in &profile.samples {
            message.message(2, |message| self.sample(message, sample));
        }
        self.mappings(&mut message, revision);
        self.locations(&mut message);
        for ((function, file), id) in std::mem::take(&mut self.functions) {
            message.message(5, |message| {
                let name = self.strings.of(&function);
                message.number(1, id);
                // Field 3, the name of the linker, stays empty: were it the same, pprof would take out of it what
                // stands between < and >.
                message.number(2, name);
                message.number(4, self.strings.of(&file));
            });
        }
        let began = profile.began.duration_since(UNIX_EPOCH).unwrap_or_default();
        message.number(9, began.as_nanos() as u64);
        message.number(10, profile.duration.as_nanos() as u64);
        message.message(11, |message| self.kind(message, profile.period.0));
        message.number(12, profile.period.1);
        message.numbers(13, profile.comments.iter().map(|comment| self.strings.of(comment)));
        message.number(14, profile.kinds.get(profile.shown).map_or(0, |kind| self.strings.of(kind.0)));
        for text in std::mem::replace(&mut self.strings, Strings::new()).into_sorted() {
            message.bytes(6, text.as_bytes());
        }
        message
    }

    fn kind(&mut self, message: &mut Message, (kind, unit): Kind) {
        message.number(1, self.strings.of(kind));
        message.number(2, self.strings.of(unit));
    }

    fn sample(&mut self, message: &mut Message, sample: &Sample) {
        message.numbers(1, sample.frames.iter().map(|frame| self.location(frame)));
        message.numbers(2, sample.values.iter().map(|value| *value as u64));
        if let Some(thread) = &sample.thread {
            message.message(3, |message| {
                message.number(1, self.strings.of("thread"));
                message.number(2, self.strings.of(thread));
            });
        }
    }

    fn location(&mut self, frame: &Frame) -> u64 {
        if let Some((id, _)) = self.locations.get(frame) {
            return *id;
        }
        let lines = self.names.of(frame).to_vec();
        let lines = lines.into_iter().map(|line| (self.function(&line), line.line)).collect();
        let id = self.locations.len() as u64 + 1;
        self.locations.insert(frame.clone(), (id, lines));
        id
    }

    fn function(&mut self, line: &Line) -> u64 {
        let next = self.functions.len() as u64 + 1;
        *self.functions.entry((line.function.clone(), line.file.clone())).or_insert(next)
    }

    /// This program's code first: its file and build id are what pprof shows.
    fn mappings(&mut self, message: &mut Message, revision: &str) {
        let program = self.names.program().to_owned();
        let mappings = self.names.mappings().to_vec();
        let (ours, others): (Vec<_>, Vec<_>) =
            mappings.iter().enumerate().partition(|(_, mapping)| mapping.file == program);
        for (at, mapping) in ours.into_iter().chain(others) {
            let build = if mapping.file == program { revision } else { "" };
            message.message(3, |message| {
                message.number(1, mapping_id(at));
                message.number(2, mapping.start as u64);
                message.number(3, mapping.end as u64);
                message.number(4, mapping.offset as u64);
                message.number(5, self.strings.of(&mapping.file));
                message.number(6, self.strings.of(build));
                symbolized(message);
            });
        }
        message.message(3, |message| {
            message.number(1, mapping_id(mappings.len()));
            message.number(5, self.strings.of(KERNEL));
            symbolized(message);
        });
    }

    fn locations(&mut self, message: &mut Message) {
        for (frame, (id, lines)) in &self.locations {
            let (mapping, address) = match frame {
                Frame::Code(address) => (self.names.mapping(*address).map_or(0, mapping_id), *address),
                Frame::Kernel(_) => (mapping_id(self.names.mappings().len()), 0),
                Frame::Named(_) => (0, 0),
            };
            message.message(4, |message| {
                message.number(1, *id);
                message.number(2, mapping);
                message.number(3, address as u64);
                for (function, line) in lines {
                    message.message(4, |message| {
                        message.number(1, *function);
                        message.number(2, u64::from(*line));
                    });
                }
            });
        }
    }
}

/// Says that functions, files, lines and inlining are known, so that nobody looks for the binary.
fn symbolized(message: &mut Message) {
    (7..=10).for_each(|field| message.number(field, 1));
}

/// Ids begin with 1.
fn mapping_id(at: usize) -> u64 {
    at as u64 + 1
}
