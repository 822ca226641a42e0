//! The network between a client and the server: delay, loss, reordering, duplication, outage.
//!
//! It is a link in time, both ways, and may change while datagrams are under way. `sluice_load::impair` is the last mile
//! of one receiver and counts packets: the two have nothing in common but their dice.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// How late a datagram comes that others overtake.
const OVERTAKEN: Duration = Duration::from_millis(30);

/// What happens to datagrams, the same in both directions.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// One way.
    pub delay: Duration,
    /// Added to it at random: what reorders.
    pub jitter: Duration,
    /// Part of datagrams that vanish.
    pub loss: f64,
    /// What vanishes in bursts beside that.
    pub bursts: Option<Bursts>,
    /// Part of datagrams that others overtake.
    pub reorder: f64,
    /// Part of datagrams that come twice.
    pub duplicate: f64,
    /// UDP payload of a datagram at the most: a larger one vanishes.
    pub largest: usize,
    /// Nothing passes.
    pub down: bool,
    /// Of the way to the client, if it is narrow.
    pub narrow: Option<Narrow>,
}

/// A line that carries only so much, and what waits before it.
#[derive(Debug, Clone, Copy)]
pub struct Narrow {
    /// Bytes a second.
    pub rate: f64,
    /// Time that a datagram waits at the most: what would wait longer is dropped.
    pub queue: Duration,
}

impl Link {
    /// 10 ms each way and no fault.
    pub const GOOD: Link = Link {
        delay: Duration::from_millis(10),
        jitter: Duration::ZERO,
        loss: 0.0,
        bursts: None,
        reorder: 0.0,
        duplicate: 0.0,
        largest: usize::MAX,
        down: false,
        narrow: None,
    };

    /// Random loss in both directions, some reordering and duplication.
    pub fn lossy(loss: f64) -> Link {
        Link { loss, jitter: Duration::from_millis(3), duplicate: 0.01, ..Link::GOOD }
    }

    /// When the copies of one datagram of `bytes` arrive, sent at `now`: none, one or two.
    pub fn arrivals(
        &mut self,
        now: Instant,
        bytes: usize,
        random: &mut StdRng,
    ) -> impl Iterator<Item = Instant> {
        let bursts = self.bursts.as_mut().is_some_and(|bursts| bursts.lose(random));
        let lost = self.down || bytes > self.largest || bursts || random.random_bool(self.loss);
        let copies = if lost { 0 } else { 1 + usize::from(random.random_bool(self.duplicate)) };
        let overtaken = self.reorder > 0.0 && random.random_bool(self.reorder);
        let delay = self.delay + if overtaken { OVERTAKEN } else { Duration::ZERO };
        let mut one =
            || now + delay + self.jitter.mul_f64(f64::from(random.next_u32()) / f64::from(u32::MAX));
        let times = [one(), one()];
        times.into_iter().take(copies)
    }
}

/// A line that is good for a while and then bad for a while (E. N. Gilbert, "Capacity of a Burst-Noise Channel", 1960; with
/// a loss of less than all in the bad state, E. O. Elliott, 1963).
#[derive(Debug, Clone, Copy)]
pub struct Bursts {
    /// Part of datagrams with which it turns bad.
    pub begin: f64,
    /// Part of datagrams with which it turns good again.
    pub end: f64,
    /// Part of datagrams that vanish while it is bad.
    pub loss: f64,
    /// Whether it is bad now.
    pub bad: bool,
}

impl Bursts {
    /// Bursts of `length` datagrams, which are `part` of all.
    pub fn new(length: f64, part: f64) -> Bursts {
        let end = 1.0 / length;
        Bursts { begin: end * part / (1.0 - part), end, loss: 1.0, bad: false }
    }

    /// Whether the next datagram vanishes.
    fn lose(&mut self, random: &mut StdRng) -> bool {
        self.bad ^= random.random_bool(if self.bad { self.end } else { self.begin });
        self.bad && random.random_bool(self.loss)
    }
}

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a client.
    ToServer,
    /// To a client.
    ToClient,
}

/// A datagram under way.
#[derive(Debug)]
pub struct Flight {
    /// When it arrives.
    pub at: Instant,
    /// Breaks ties: what was sent first arrives first.
    pub number: u64,
    /// Which way it goes.
    pub way: Way,
    /// The client's address as the server sees it.
    pub remote: SocketAddr,
    /// Made by a client's engine, not by the test.
    pub genuine: bool,
    /// The datagram.
    pub bytes: Vec<u8>,
}

impl PartialEq for Flight {
    fn eq(&self, other: &Flight) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Flight {}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Flight) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Flight {
    /// The earliest is the greatest: a `BinaryHeap` gives the greatest first.
    fn cmp(&self, other: &Flight) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}
