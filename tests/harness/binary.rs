//! The program that is tested: where it is, and what it is started as.

use std::process::{Command, Stdio};

use crate::cameras::Cameras;
use crate::load::Load;
use crate::server::Sluice;

/// The `sluice` binary.
#[derive(Debug, Clone, Copy)]
pub struct Binary(&'static str);

impl Binary {
    /// The one at `path`: of a test target of package `sluice`, `env!("CARGO_BIN_EXE_sluice")`.
    pub const fn at(path: &'static str) -> Binary {
        Binary(path)
    }

    /// Where it is.
    pub const fn path(self) -> &'static str {
        self.0
    }

    /// A command that runs it, without arguments.
    pub fn command(self) -> Command {
        Command::new(self.0)
    }

    /// A server on free ports, once it serves. `arguments` come last.
    pub fn start(self, arguments: &[&str]) -> Sluice {
        self.start_with(arguments, |_| {})
    }

    /// The same, with what `prepare` does to the command first: variables, say.
    pub fn start_with(self, arguments: &[&str], prepare: impl Fn(&mut Command)) -> Sluice {
        // Ports that are free now may be another test's in a moment.
        for _ in 0..5 {
            let mut command = self.command();
            prepare(&mut command);
            match Sluice::start(command, Stdio::piped(), arguments) {
                Err(log) if log.contains("in use") => {}
                started => return started.unwrap_or_else(|log| panic!("it did not start: {log}")),
            }
        }
        panic!("no free ports for a server");
    }

    /// As [`Binary::start`], with a standard error of the test's own; [`Sluice::log`] is empty then.
    pub fn start_logging_to(self, stderr: Stdio, arguments: &[&str]) -> Sluice {
        let started = Sluice::start(self.command(), stderr, arguments);
        started.unwrap_or_else(|log| panic!("it did not start: {log}"))
    }

    /// `sluice load whep` to its end.
    pub fn load(self, url: &str, arguments: &[&str]) -> Load {
        Load::run(self.command(), url, arguments)
    }

    /// As [`Binary::load`], for one that must exit with this code.
    #[track_caller]
    pub fn load_to(self, code: i32, url: &str, arguments: &[&str]) -> Load {
        let load = self.load(url, arguments);
        assert_eq!(load.code, Some(code), "{}", load.text);
        load
    }

    /// `sluice load cameras`: `count` of them on a free port, once they can be played.
    pub fn cameras(self, count: usize, arguments: &[&str]) -> Cameras {
        Cameras::start(self.command(), count, arguments)
    }
}
