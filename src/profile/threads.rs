//! What every thread and every task does now.
//!
//! Owns the list of them. Threads are asked for their stacks by a signal; tasks of the executors are known by the names
//! that [`crate::tasks`] counts, without what they wait for. A shell: it waits and reads the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and sleeps")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::time::{Duration, SystemTime};

use sluice_io::profile::Snapshot;

use super::names::{Line, Names};
use super::{Frame, Kind, Profile, Sample, Sampler};
use crate::stat::Stat;
use crate::tasks;

/// How long threads are waited for, in looks. Longer waits for what the kernel holds, shorter leaves out who does not get
/// a processor at once.
const LOOKS: u32 = 50;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(10);

const KINDS: [Kind; 1] = [("goroutine", "count")];

/// One thread.
#[derive(Debug)]
pub struct Thread {
    /// Its number.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Innermost first; empty if it did not answer.
    pub frames: Vec<Frame>,
}

/// All threads of this process, by name.
///
/// # Errors
///
/// The kernel's.
pub async fn all() -> io::Result<Vec<Thread>> {
    let mut snapshot = Snapshot::start()?;
    let mut stacks = HashMap::new();
    let mut silent = Vec::new();
    for _ in 0..LOOKS {
        tokio::time::sleep(LOOK).await;
        let left = snapshot
            .take(|stack| drop(stacks.insert(stack.thread, Frame::of_stack(stack.frames, stack.in_kernel))));
        silent = left.to_vec();
        if silent.is_empty() {
            break;
        }
    }
    stacks.extend(silent.into_iter().map(|thread| (thread, Vec::new())));
    let mut threads: Vec<Thread> =
        stacks.into_iter().map(|(id, frames)| Thread { id, name: name(id), frames }).collect();
    // Without a name: it has ended meanwhile.
    threads.retain(|thread| !thread.name.is_empty());
    threads.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    Ok(threads)
}

/// Threads and tasks as what a Go program shows of its goroutines: each counts one.
///
/// # Errors
///
/// The kernel's.
pub async fn profile() -> io::Result<Profile> {
    let began = SystemTime::now();
    let mut samples: Vec<Sample> = all().await?.into_iter().map(of_thread).collect();
    samples.extend(tasks::alive().into_iter().map(|(task, count)| {
        let line = Line {
            function: format!("task {}", task.name),
            file: task.spawned.file().to_owned(),
            line: task.spawned.line(),
        };
        Sample { frames: vec![Frame::Named(line)], values: vec![count as i64], thread: None }
    }));
    Ok(Profile {
        kinds: &KINDS,
        shown: 0,
        period: (KINDS[0], 1),
        began,
        duration: Duration::ZERO,
        samples,
        comments: Vec::new(),
        sampler: Sampler::default(),
    })
}

fn of_thread(thread: Thread) -> Sample {
    let mut frames = thread.frames;
    let function = format!("thread {}", thread.name);
    frames.push(Frame::Named(Line { function, file: String::new(), line: 0 }));
    Sample { frames, values: vec![1], thread: Some(thread.name) }
}

/// The name of a thread; empty if it has ended.
pub(super) fn name(thread: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/self/task/{thread}/comm")).unwrap_or_default();
    name.trim_end_matches('\n').to_owned()
}

/// Threads as text: state and processor time of each, and its stack.
pub fn text(threads: &[Thread], names: &mut Names) -> String {
    let mut text = format!("{} threads\n", threads.len());
    for Thread { id, name, frames } in threads {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).ok();
        let _ = match stat.and_then(|line| Stat::parse(&line)) {
            Some(stat) => {
                let state = state(stat.state);
                writeln!(text, "\n{name} ({id}): {state}, {:.2} s of CPU", stat.cpu.as_secs_f64())
            }
            None => writeln!(text, "\n{name} ({id}): has ended"),
        };
        if frames.is_empty() {
            text.push_str("    (it did not answer: the kernel holds it, or it gets no processor)\n");
        }
        for line in frames.iter().flat_map(|frame| names.of(frame).to_vec()) {
            let _ = writeln!(text, "    {}", super::text::shown(&line));
        }
    }
    text
}

/// The kernel's letters (proc(5)) as words.
fn state(letter: char) -> &'static str {
    match letter {
        'R' => "runs or could run",
        'S' => "waits",
        'D' => "waits in the kernel",
        'T' | 't' => "is stopped",
        _ => "ends",
    }
}
