//! The options that all profiles share.
//!
//! Owns their words and units. Never decides anything: what is left out is filled in by [`super::rig`].

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What every profile can be told.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Small and short: ends in under a minute, shows that it works, and its figures are coarse.
    #[arg(long)]
    pub quick: bool,
    /// Directory for the report and the logs of what was started [default: one of its own under the temporary
    /// directory, printed]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the report as JSON there [default: DIR/report.json]
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as Markdown there [default: DIR/report.md]
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Core of the server [default: the first there is]
    #[arg(long, value_name = "CORE")]
    pub server_core: Option<usize>,
    /// Cores of the generator and the cameras, a receiving thread each [default: the others, 8 at the most]
    #[arg(long, value_delimiter = ',', value_name = "CORE")]
    pub load_cores: Vec<usize>,
    /// How often everything is measured; medians are told, with the smallest and the largest; not for churn,
    /// soak and report, which measure once [default: 3, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: Option<u32>,
    /// What is between server and generator [default: namespaces where that is possible]
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<Network>,
    /// Whose cores do the receiving half of the network stack between namespaces [default: the receiver's, where
    /// the kernel can steer it]
    #[arg(long, value_name = "SIDE")]
    pub receiving: Option<Receiving>,
}

/// What is between server and generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// Two network namespaces with a veth pair between them; needs root and `ip`.
    Namespaces,
    /// The loopback interface of this machine.
    Loopback,
}

/// Who does the receiving half of the network stack, up to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Receiving {
    /// Each side for itself, as with network cards: the server is measured alone. By receive packet steering (RPS).
    Receiver,
    /// The sender for the other side, inside its system call: the server pays for its viewers' kernels.
    Sender,
}

impl Common {
    /// How often to measure.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }
}
