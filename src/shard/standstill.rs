//! Why a shard's thread does not go round, by what the kernel says of the thread.
//!
//! Owns the judgement and its words. Whoever looks reads the kernel, and the clock.

use std::fmt;
use std::time::Duration;

use crate::stat::Stat;

/// A round takes a few milliseconds of a processor, and is bounded: a thread that ran for this long without ending
/// one will not end it. Longer takes a loop for a busy machine where the thread has to share its core; shorter takes a
/// machine that computes slowly for a loop.
const ENDLESS: Duration = Duration::from_millis(200);

/// Why a thread stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standstill {
    /// It could run, and had a processor for `ran` of the last `of` only.
    Starved { ran: Duration, of: Duration },
    /// It ran for `ran` of the last `of`, and came to no end.
    Endless { ran: Duration, of: Duration },
    /// It sleeps longer than it ever asks to.
    Asleep,
    /// The kernel keeps it: memory that is fetched from a disk, a device.
    Kernel,
    /// A debugger or a signal stopped it.
    Stopped,
    /// Nobody looked at it in time, or there is no `/proc`.
    Unknown,
}

impl Standstill {
    /// Judges by what the kernel said first and says now, `of` later.
    pub(super) fn of(first: Option<Stat>, now: Option<Stat>, of: Duration) -> Standstill {
        let (Some(first), Some(now)) = (first, now) else { return Standstill::Unknown };
        let ran = now.cpu.saturating_sub(first.cpu);
        match now.state {
            _ if ran >= ENDLESS => Standstill::Endless { ran, of },
            'R' => Standstill::Starved { ran, of },
            'S' | 'I' => Standstill::Asleep,
            'D' => Standstill::Kernel,
            'T' | 't' => Standstill::Stopped,
            _ => Standstill::Unknown,
        }
    }

    /// Whether it is a defect of ours, and not the machine's doing.
    pub(super) fn is_ours(self) -> bool {
        matches!(self, Standstill::Endless { .. } | Standstill::Asleep)
    }
}

impl fmt::Display for Standstill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standstill::Starved { ran, of } => write!(
                f,
                "this machine is too busy: of the last {:.2} s it had a processor for {:.2} s, and waits for one",
                of.as_secs_f32(),
                ran.as_secs_f32()
            ),
            Standstill::Endless { ran, of } => write!(
                f,
                "it ran for {:.2} of the last {:.2} s and came to no end: please report this",
                ran.as_secs_f32(),
                of.as_secs_f32()
            ),
            Standstill::Asleep => f.write_str("it sleeps and does not wake up: please report this"),
            Standstill::Kernel => f.write_str("the kernel keeps it: is this machine short of memory?"),
            Standstill::Stopped => f.write_str("a debugger or a signal stopped it"),
            Standstill::Unknown => f.write_str("is this machine too busy for it?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(500);

    fn judged(state: char, ran_ms: u64) -> Standstill {
        let stat = |cpu| Stat {
            state,
            cpu: Duration::from_millis(cpu),
            threads: 1,
            virtual_bytes: 0,
            resident_bytes: 0,
            began: Duration::ZERO,
        };
        Standstill::of(Some(stat(7_000)), Some(stat(7_000 + ran_ms)), WINDOW)
    }

    /// What the kernel says of a real thread that does `work` until it is told to end.
    #[expect(clippy::disallowed_methods, reason = "a thread of its own is what is looked at")]
    fn judged_by_the_kernel(work: impl Fn() + Send + 'static) -> Standstill {
        let (folder_in, folder) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let _ = folder_in.send(std::fs::read_link("/proc/thread-self").expect("procfs"));
            while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                work();
            }
        });
        let file = std::path::Path::new("/proc").join(folder.recv().expect("it begins")).join("stat");
        let look = || Stat::parse(&std::fs::read_to_string(&file).expect("it lives"));
        let first = look();
        // However busy this machine is, it comes to its judgement in the end.
        let mut why = Standstill::of(first, look(), WINDOW);
        while matches!(why, Standstill::Starved { .. }) {
            std::thread::yield_now();
            why = Standstill::of(first, look(), WINDOW);
        }
        drop(end);
        thread.thread().unpark();
        thread.join().expect("it ends");
        why
    }

    #[test]
    fn the_kernel_tells_a_loop_from_a_sleep() {
        assert!(matches!(judged_by_the_kernel(std::hint::spin_loop), Standstill::Endless { .. }));
        assert_eq!(judged_by_the_kernel(std::thread::park), Standstill::Asleep);
    }

    #[test]
    fn a_busy_machine_is_told_from_a_thread_that_is_to_blame() {
        for (state, ran_ms, ours, words) in [
            ('R', 0, false, "of the last 0.50 s it had a processor for 0.00 s"),
            ('R', 190, false, "too busy"),
            ('R', 250, true, "ran for 0.25 of the last 0.50 s"),
            ('S', 490, true, "came to no end"),
            ('S', 10, true, "sleeps"),
            ('D', 0, false, "short of memory"),
            ('t', 0, false, "debugger"),
        ] {
            let why = judged(state, ran_ms);
            assert_eq!(why.is_ours(), ours, "{state} {ran_ms}");
            assert!(why.to_string().contains(words), "{why}");
        }
        let unknown = Standstill::of(None, None, WINDOW);
        assert!(!unknown.is_ours() && unknown.to_string().ends_with('?'), "{unknown}");
    }
}
