//! What viewers lived through, added up: of one size however many they were.
//!
//! Owns what is kept of a viewer that is gone, so that a test of days with viewers that come and go does not
//! grow. Never judges.

use std::time::Duration;

use super::client::Totals;
use super::distribution::Times;
use super::frames::Verdict;

/// A viewer without a packet for so long in one of its streams has noticed it. Less would accuse cameras that
/// send a picture a second, more would overlook a server that stalls.
const STALL: Duration = Duration::from_secs(2);

/// What a worker has counted since its beginning.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mark {
    /// All its viewers, gone ones too.
    pub totals: Totals,
    /// Viewers that are connected now.
    pub connected: usize,
    /// CPU time of the thread, if the kernel tells.
    pub cpu: Duration,
    /// Time it was ready to run and had no core.
    pub waited: Duration,
    /// When this was counted, from the worker's beginning on.
    pub at: Duration,
}

/// All about one viewer that is gone.
#[derive(Debug, Clone, Copy)]
pub struct Viewed {
    /// From the beginning of its join until ICE and DTLS were done.
    pub connect: Option<Duration>,
    /// From the beginning of its join until the first media packet.
    pub first_packet: Option<Duration>,
    /// The longest time without a packet in one of its streams.
    pub longest_gap: Option<Duration>,
    /// Interarrival jitter.
    pub jitter: Option<Duration>,
    /// What it counted.
    pub totals: Totals,
    /// What verification found, if it verified.
    pub verdict: Option<Verdict>,
    /// Datagrams that its own kernel dropped before we read them.
    pub kernel_drops: u64,
}

/// All about many.
#[derive(Debug, Clone, Default)]
pub struct Gone {
    /// What they counted.
    pub totals: Totals,
    /// What verification found.
    pub verdict: Verdict,
    /// Viewers that verified.
    pub verifiers: u64,
    /// Viewers that connected and never got a packet.
    pub silent: u64,
    /// Viewers that had no packet for more than 2 s in one of their streams.
    pub stalled: u64,
    /// Datagrams that our own kernel dropped before we read them.
    pub kernel_drops: u64,
    /// Time to connect.
    pub connect: Times,
    /// Time to the first packet.
    pub first_packet: Times,
    /// Longest gap of each.
    pub gap: Times,
    /// Jitter of each.
    pub jitter: Times,
    /// Ages of the pictures that verifying viewers saw.
    pub delay: Times,
}

impl Gone {
    /// One more.
    pub fn add(&mut self, viewed: Viewed) {
        self.totals += viewed.totals;
        self.verdict += viewed.verdict.unwrap_or_default();
        self.verifiers += u64::from(viewed.verdict.is_some());
        self.silent += u64::from(viewed.connect.is_some() && viewed.first_packet.is_none());
        self.stalled += u64::from(viewed.longest_gap.is_some_and(|gap| gap > STALL));
        self.kernel_drops += viewed.kernel_drops;
        self.connect.extend(viewed.connect);
        self.first_packet.extend(viewed.first_packet);
        self.gap.extend(viewed.longest_gap);
        self.jitter.extend(viewed.jitter);
    }
}

impl std::ops::AddAssign<&Gone> for Gone {
    fn add_assign(&mut self, other: &Gone) {
        self.totals += other.totals;
        self.verdict += other.verdict;
        self.verifiers += other.verifiers;
        self.silent += other.silent;
        self.stalled += other.stalled;
        self.kernel_drops += other.kernel_drops;
        self.connect.add(&other.connect);
        self.first_packet.add(&other.first_packet);
        self.gap.add(&other.gap);
        self.jitter.add(&other.jitter);
        self.delay.add(&other.delay);
    }
}
