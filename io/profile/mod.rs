//! What the threads of this process do, and what its memory is held by, as addresses of code.
//!
//! Owns the part of profiling that the kernel and the allocator do for us and that needs `unsafe`: a timer per thread
//! with a signal at its end, a walk along frame pointers (`stack`), the allocator's samples ([`heap`]). What an address
//! is called, and what is made of it, is decided elsewhere.
//!
//! # Why timers and signals
//!
//! `perf_event_open` would show functions inside the kernel, but only to root: an unprivileged process may not see kernel
//! time at all (`perf_event_paranoid` 2; Debian's 3 and containers refuse the call). Of one timer for the process
//! (`setitimer`) one signal can be under way, whatever the number of busy cores (golang/go#35057). So each thread has a
//! timer of its own CPU time, as in Go since 1.18: it works unprivileged, costs idle threads nothing, and a signal that
//! finds its thread behind a system call says that the kernel had the time.

pub mod heap;
mod names;
mod sampler;
mod slots;
mod stack;

pub use names::libc_entries;
pub use sampler::{Sampler, Snapshot, Stack, yield_to_others};
