//! The floor of `sluice bench`: the same bytes, sealed and sent with nothing around them.
//!
//! It stands here because it uses the server's own order of turns; what is in it and what is not is said in
//! `sluice_bench::floor`, which starts it as a process. `pattern` is what to send when, `send` sends it.

mod pattern;
mod send;

pub use send::{Options, run};
