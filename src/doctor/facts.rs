//! What is known of a machine, as plain values: `read` fills them in, `machine` and `service` judge them. `None` is what
//! nobody could say.

use std::net::IpAddr;
use std::time::Duration;

use sluice_io::machine::Room;

/// Everything that is looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) gso: Gso,
    /// Whether this is a network namespace, such as a container's: limits of the whole machine are then set outside of it.
    pub(super) inside: bool,
    /// Of a socket as the shards have it; none if there can be none.
    pub(super) buffers: Vec<Buffer>,
    pub(super) udp_memory: UdpMemory,
    /// What the kernel dropped since the machine started.
    pub(super) drops: Drops,
    pub(super) interfaces: Vec<Interface>,
    pub(super) cores: Cores,
    pub(super) files: Files,
    /// Whether something keeps the clock in time.
    pub(super) synchronised: Option<bool>,
    /// The connection tracker of the kernel, if it is loaded.
    pub(super) conntrack: Option<Conntrack>,
    /// `limits.viewers`.
    pub(super) viewers: u64,
    pub(super) reach: Reach,
    pub(super) disks: Vec<Disk>,
    pub(super) cipher: Cipher,
    pub(super) certificates: Vec<Certificate>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Gso {
    /// As `uname -r` prints it.
    pub(super) kernel: String,
    /// `udp.gso`.
    pub(super) wanted: bool,
    pub(super) verdict: Option<Verdict>,
}

/// What the self-test found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Trusted,
    BadKernel,
    Refused(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Buffer {
    /// `udp.receive_buffer`.
    pub(super) key: &'static str,
    pub(super) asked: usize,
    pub(super) granted: usize,
    /// What bounds it.
    pub(super) sysctl: &'static str,
}

/// Memory of all UDP sockets, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UdpMemory {
    /// Over which the kernel drops what comes (`net.ipv4.udp_mem`, the third).
    pub(super) limit: Option<u64>,
    /// What the shards' sockets may hold together.
    pub(super) wanted: u64,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Drops {
    /// Before any socket was asked, because a processor's queue was full (`/proc/net/softnet_stat`).
    pub(super) backlog: Option<u64>,
    /// Because a socket's buffer was full (`RcvbufErrors` in `/proc/net/snmp`).
    pub(super) receive: Option<u64>,
    /// `net.core.netdev_max_backlog`.
    pub(super) backlog_max: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) mtu: Option<u32>,
    /// What became of a train to a neighbour; nothing where there can be none.
    pub(super) train: Option<Result<(), String>>,
    /// Of a card; what has no device has neither queues nor interrupts.
    pub(super) card: Option<Card>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Card {
    /// Megabits a second.
    pub(super) speed: Option<u32>,
    pub(super) receive_queues: usize,
    /// Whether it cuts trains itself.
    pub(super) segments: Option<Offload>,
    /// Whether ports count when it chooses a queue for a datagram.
    pub(super) hashes_ports: Option<bool>,
    /// Cores that take its interrupts.
    pub(super) interrupts: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offload {
    On,
    Off,
    /// Off, and the card or its driver has no other way.
    Never,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Cores {
    /// Those that we may use.
    pub(super) all: Vec<usize>,
    /// Those that shards are pinned to.
    pub(super) shards: Vec<usize>,
    /// `performance`, `powersave`; nothing where the clock does not change.
    pub(super) governor: Option<String>,
    /// `tsc`.
    pub(super) clock_source: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    /// That may be open.
    pub(super) limit: Option<u64>,
    /// What the configuration makes of it: how many connections, or why not.
    pub(super) plan: Option<Result<u32, String>>,
    /// Whether a higher limit would allow more.
    pub(super) lowered: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Conntrack {
    pub(super) count: u64,
    pub(super) max: u64,
}

/// How viewers get here.
#[derive(Debug, Clone, Default)]
pub(super) struct Reach {
    /// What is announced, best first.
    pub(super) addresses: Option<Result<Vec<IpAddr>, String>>,
    /// The first UDP port and how many.
    pub(super) port: u16,
    pub(super) ports: u16,
    /// The first TCP port of viewers without UDP, of as many.
    pub(super) tcp: Option<u16>,
    /// `http` or `https`, and the port of the pages.
    pub(super) scheme: &'static str,
    pub(super) http: u16,
    /// The first name that the certificate of the pages is for.
    pub(super) name: Option<String>,
    /// A stream to try.
    pub(super) stream: String,
}

#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) path: &'static str,
    pub(super) room: Room,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Cipher {
    /// The library that was chosen, and by whom.
    pub(super) chosen: &'static str,
    pub(super) by_configuration: bool,
    /// What a packet takes by each.
    pub(super) costs: Vec<(&'static str, Duration)>,
}

#[derive(Debug, Clone)]
pub(super) struct Certificate {
    /// The table that names it.
    pub(super) table: String,
    /// Whether ACME makes it.
    pub(super) by_acme: bool,
    /// Time that it is still good for, or what is wrong with it.
    pub(super) left: Result<Duration, String>,
    /// From which time on a person should know.
    pub(super) notice: Duration,
}
