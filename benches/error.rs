//! Why a bench cannot go on.
//!
//! Owns the words. Each error names the thing, what happened to it, and where to look.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Which process it is, in errors and as the name of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Sluice.
    Server,
    /// `sluice load whep`.
    Generator,
    /// `sluice load cameras`.
    Cameras,
    /// The destinations of the floor.
    Sink,
    /// The floor.
    Floor,
    /// Chromium.
    Browser,
    /// Another server.
    Peer,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Server => "server",
            What::Generator => "generator",
            What::Cameras => "cameras",
            What::Sink => "sink",
            What::Floor => "floor",
            What::Browser => "browser",
            What::Peer => "peer",
        })
    }
}

/// Why a bench ended without its report.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Ctrl-C or SIGTERM.
    #[error("interrupted; what had been started is ended")]
    Interrupted,
    /// Rounds of a profile that has none.
    #[error("{0} measures once: leave --rounds out, and run it again to measure again")]
    Rounds(&'static str),
    /// A signal handler or the runtime.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
    /// A file that cannot be written or read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A command of the system's failed.
    #[error(
        "`{command}` failed: {message}; it is needed for --network namespaces, --network loopback does without"
    )]
    Command {
        /// The whole line.
        command: String,
        /// What it said.
        message: String,
    },
    /// A thread cannot be put where it belongs.
    #[error("cannot run a thread in the {0}: {1}")]
    Place(String, #[source] io::Error),
    /// A core that is not there.
    #[error("core {core} is not among the cores this process may use ({usable}): see `taskset -p $$`")]
    Core {
        /// The core asked for.
        core: usize,
        /// Those there are.
        usable: String,
    },
    /// A process cannot be started.
    #[error("the {what} cannot be started: {source}")]
    Spawn {
        /// Which.
        what: What,
        /// What the system said.
        source: io::Error,
    },
    /// A process that should have gone on ended.
    #[error("the {what} ended ({status}) {when}; see {log}:\n{tail}", log = log.display())]
    Ended {
        /// Which.
        what: What,
        /// Its exit status.
        status: ExitStatus,
        /// When.
        when: &'static str,
        /// Where it wrote.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// A process did not do in time what was waited for.
    #[error("the {what} did not {did} within {patience:?}; see {log}:\n{tail}", log = log.display())]
    Late {
        /// Which.
        what: What,
        /// What was waited for.
        did: &'static str,
        /// For how long.
        patience: Duration,
        /// Where it wrote.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// A result that cannot be read.
    #[error("{path} is not what it should be: {message}")]
    Result {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// What was asked for cannot be measured.
    #[error("{0}")]
    Cannot(String),
}

impl BenchError {
    /// Puts a file's name to an error of the system.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> BenchError {
        let path = path.into();
        move |source| BenchError::File { path, source }
    }
}
