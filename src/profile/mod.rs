//! Profiles: where processor time goes, what holds memory, what every thread and task does.
//!
//! Owns the way from addresses (`sluice_io::profile`) to what people and `go tool pprof` read: [`cpu`], [`heap`] and
//! [`threads`] gather a [`Profile`], [`names`] says what its addresses are, [`pprof`], [`text`] and [`flame`] write it.
//! [`turn`] lets one be taken at a time, [`aside`] keeps the work out of the way of shards. HTTP is above (`http/profiles`).

pub mod aside;
mod clocks;
pub mod cpu;
pub mod flame;
pub mod heap;
pub mod names;
pub mod pprof;
mod qualified;
pub mod samples;
mod symbols;
pub mod text;
pub mod threads;
pub mod turn;
mod wire;

use std::time::{Duration, SystemTime};

use self::names::{Line, Names};

/// Stacks with values.
#[derive(Debug, Clone)]
pub struct Profile {
    /// What each sample's values are, and their units, in the words of pprof.
    pub kinds: &'static [Kind],
    /// Which of them is shown unless another is asked for.
    pub shown: usize,
    /// What is sampled, and how much of it lies between two samples.
    pub period: (Kind, u64),
    /// When it began.
    pub began: SystemTime,
    /// How long it took; zero for a moment.
    pub duration: Duration,
    /// The stacks.
    pub samples: Vec<Sample>,
    /// What a reader has to know.
    pub comments: Vec<String>,
    /// What took the samples: it is not shown.
    pub sampler: Sampler,
}

/// Functions that take samples of those that call them, by how their names begin.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sampler {
    /// By which a program comes to the sampler: they and all that they call are of it, whatever it is called.
    pub gates: &'static [&'static str],
    /// What calls those for others.
    pub callers: &'static [&'static str],
}

impl Sampler {
    fn is_gate(&self, line: &Line) -> bool {
        self.gates.iter().any(|begin| line.function.starts_with(begin))
    }

    fn is_own(&self, line: &Line) -> bool {
        self.is_gate(line) || self.callers.iter().any(|begin| line.function.starts_with(begin))
    }

    /// How many of the innermost of `frames` are of it.
    fn depth(&self, frames: &[Frame], names: &mut Names) -> usize {
        let gate = frames.iter().position(|frame| names.of(frame).iter().any(|line| self.is_gate(line)));
        let Some(gate) = gate else { return 0 };
        // What is inlined into the sampler is of it too.
        let is_own = |frame: &&Frame| names.of(frame).last().is_some_and(|line| self.is_own(line));
        gate + frames[gate..].iter().take_while(is_own).count()
    }
}

impl Profile {
    /// Takes the sampler's own functions out of the stacks.
    pub fn without_sampler(mut self, names: &mut Names) -> Profile {
        let Profile { sampler, samples, .. } = &mut self;
        for sample in samples.iter_mut() {
            let own = sampler.depth(&sample.frames, names);
            // Where there is nothing else it is better than nothing.
            if own < sample.frames.len() {
                sample.frames.drain(..own);
            }
        }
        // Names last: they tell where the sampler ends.
        for first in samples.iter().filter_map(|sample| sample.frames.first()) {
            names.without(first, |line| sampler.is_own(line));
        }
        self
    }
}

/// What is measured and in which unit.
pub type Kind = (&'static str, &'static str);

/// One stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// One for each of [`Profile::kinds`].
    pub values: Vec<i64>,
    /// The name of the thread.
    pub thread: Option<String>,
}

/// A place in a stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Frame {
    /// Code of this process at an address; of a caller, that of the call.
    Code(usize),
    /// The kernel, working for the system call that is made at this address.
    Kernel(usize),
    /// What is no code: a thread or a task by its name.
    Named(Line),
}

impl Frame {
    /// The frames of a stack of addresses, innermost first. All but the first are where callers go on, just behind the
    /// call; `exact` says that the first is where the thread was.
    fn of_addresses(addresses: &[usize], exact: bool) -> Vec<Frame> {
        let call = |(at, address): (usize, &usize)| match at {
            0 if exact => Frame::Code(*address),
            _ => Frame::Code(address.saturating_sub(1)),
        };
        addresses.iter().enumerate().map(call).collect()
    }

    /// The frames of what a thread did.
    fn of_stack(addresses: &[usize], in_kernel: bool) -> Vec<Frame> {
        let mut frames = Frame::of_addresses(addresses, !in_kernel);
        if in_kernel && let Some(Frame::Code(call)) = frames.first() {
            frames.insert(0, Frame::Kernel(*call));
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLER: Sampler = Sampler { gates: &["gate::"], callers: &["grows::"] };

    fn depth(stack: &[&str]) -> usize {
        let line = |name: &&str| Line { function: (*name).to_owned(), file: String::new(), line: 0 };
        let frames: Vec<Frame> = stack.iter().map(|name| Frame::Named(line(name))).collect();
        SAMPLER.depth(&frames, &mut Names::default())
    }

    #[test]
    fn a_sampler_is_what_its_gates_call_and_what_calls_them_for_others() {
        assert_eq!(
            depth(&["take_sample", "do_rallocx", "gate::realloc", "grows::push", "camera", "grows::map"]),
            4
        );
        assert_eq!(depth(&["gate::alloc", "camera"]), 1);
        assert_eq!(depth(&["take_sample", "camera"]), 0, "by no gate");
        assert_eq!(depth(&[]), 0);
    }
}
