//! What a UDP packet costs, by the way it is handed to the kernel: it owns the comparison that the send path
//! was chosen by, and never measures anything but sending.
//!
//! `cargo bench -p sluice-io --bench udp_matrix [-- --quick]` prints a Markdown table of nanoseconds per
//! packet.
//!
//! Datagrams go to 1,000 destinations in turn, so many a time as the train is long. With the right to do so
//! (root), they leave through a veth pair into a second network namespace where no address is theirs, and are
//! dropped on arrival; both namespaces vanish with the process. Otherwise they go over loopback to one socket
//! that is never read. The bytes are not written anew for each packet, by no method: what is compared is the
//! way to the kernel.
//!
//! Rounds are interleaved (A B C D, A B C D, ...) and the median is printed, so that a noisy neighbour hits
//! all columns. Compare columns, not runs: the ratio is the result.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

use std::{
    error::Error,
    fmt::Write as _,
    fs, hint, io,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use sluice_io::{AppendError, Batch, BatchLimits, GsoMode, Sender, Socket, SocketOptions};
use socket2::{SockAddr, SockRef};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

const DESTINATIONS: usize = 1_000;
const DATAGRAM_BYTES: [usize; 2] = [200, 1_200];
const TRAIN_SEGMENTS: [usize; 6] = [1, 2, 5, 7, 10, 20];

/// One address, and the network that is reached through it.
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 2);
const FAR_MAC: &str = "02:00:00:00:00:02";
const DESTINATION_NETWORK: [u8; 2] = [10, 99];

fn main() -> Result<()> {
    let quick = parse_arguments()?;
    let (rounds, budget) = if quick { (3, Duration::from_secs(8)) } else { (25, Duration::from_secs(50)) };

    let topology = Topology::new()?;
    let mut rig = Rig::new(&topology)?;
    let mut cells: Vec<Cell> = Cell::all();
    let start = Instant::now();
    let mut done = 0;
    rig.round(&mut cells)?;
    cells.iter_mut().for_each(|cell| cell.samples.clear());
    while done < rounds && start.elapsed() < budget {
        rig.round(&mut cells)?;
        done += 1;
    }
    topology.check_traffic()?;

    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("\nNanoseconds per packet: {topology}, {DESTINATIONS} destinations, Linux {}.", kernel.trim());
    println!("Medians of {done} interleaved rounds, {:.0} s.\n", start.elapsed().as_secs_f64());
    println!("{}", table(&cells));
    Ok(())
}

/// Whether to be quick: on request, and without cargo's own `--bench`, because then this is `cargo test
/// --benches`.
fn parse_arguments() -> Result<bool> {
    let (mut quick, mut bench) = (false, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => quick = true,
            "--bench" => bench = true,
            other => return Err(format!("unknown argument {other}: only --quick is known").into()),
        }
    }
    Ok(quick || !bench)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// One system call a packet.
    SendTo,
    /// Up to 64 packets a call.
    SendMmsg,
    /// One train a call, by quinn-udp.
    Gso,
    /// Up to 64 trains a call.
    SendMmsgGso,
}

impl Method {
    const ALL: [Self; 4] = [Self::SendTo, Self::SendMmsg, Self::Gso, Self::SendMmsgGso];
}

/// One number of the table.
struct Cell {
    method: Method,
    datagram_bytes: usize,
    segments: usize,
    samples: Vec<f64>,
}

impl Cell {
    /// In the order of measuring: the methods of one row follow each other.
    fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for datagram_bytes in DATAGRAM_BYTES {
            for segments in TRAIN_SEGMENTS {
                for method in Method::ALL {
                    cells.push(Self { method, datagram_bytes, segments, samples: Vec::new() });
                }
            }
        }
        cells
    }

    fn median(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn table(cells: &[Cell]) -> String {
    let mut table = String::from(
        "| bytes | train | sendto | sendmmsg | GSO | sendmmsg + GSO | sendto / (sendmmsg + GSO) |\n\
         |---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in cells.chunks(Method::ALL.len()) {
        let ns: Vec<f64> = row.iter().map(Cell::median).collect();
        let _ = write!(table, "| {} | {} |", row[0].datagram_bytes, row[0].segments);
        for value in &ns {
            let _ = write!(table, " {value:.0} |");
        }
        let _ = writeln!(table, " {:.1} x |", ns[0] / ns[3]);
    }
    table
}

/// Everything the four methods send with.
struct Rig {
    destinations: Vec<SocketAddr>,
    names: Vec<SockAddr>,
    socket: Socket,
    /// For the two methods that are not ours: a socket set up by quinn-udp alone.
    plain: socket2::Socket,
    quinn: UdpSocketState,
    batch: Batch,
    one_by_one: Sender,
    in_trains: Sender,
    bytes: Vec<u8>,
}

impl Rig {
    fn new(topology: &Topology) -> Result<Self> {
        let destinations: Vec<_> = (0..DESTINATIONS).map(|index| topology.destination(index)).collect();
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let send_buffer = 4 << 20;
        let socket = Socket::bind(SocketOptions { address, receive_buffer: 0, send_buffer })?;
        let plain = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
        plain.set_send_buffer_size(send_buffer)?;
        plain.bind(&address.into())?;
        let quinn = UdpSocketState::new(UdpSockRef::from(&plain))?;
        Ok(Self {
            names: destinations.iter().copied().map(SockAddr::from).collect(),
            destinations,
            socket,
            plain,
            quinn,
            batch: Batch::new(BatchLimits { arena_bytes: 2 << 20, ..BatchLimits::default() }),
            one_by_one: Sender::new(GsoMode::Off),
            in_trains: Sender::new(GsoMode::On),
            bytes: vec![0xa5; 65_536],
        })
    }

    /// One sample for every cell.
    fn round(&mut self, cells: &mut [Cell]) -> Result<()> {
        for cell in cells {
            let start = Instant::now();
            match cell.method {
                Method::SendTo => self.send_to(cell)?,
                Method::SendMmsg => self.send_batches(cell, GsoMode::Off)?,
                Method::Gso => self.send_trains(cell)?,
                Method::SendMmsgGso => self.send_batches(cell, GsoMode::On)?,
            }
            let packets = (DESTINATIONS * cell.segments) as f64;
            cell.samples.push(start.elapsed().as_nanos() as f64 / packets);
        }
        Ok(())
    }

    fn send_to(&self, cell: &Cell) -> io::Result<()> {
        let socket = SockRef::from(&self.plain);
        for name in &self.names {
            for _ in 0..cell.segments {
                socket.send_to(&self.bytes[..cell.datagram_bytes], name)?;
            }
        }
        Ok(())
    }

    fn send_trains(&self, cell: &Cell) -> io::Result<()> {
        for destination in &self.destinations {
            let train = Transmit {
                destination: *destination,
                ecn: None,
                contents: &self.bytes[..cell.datagram_bytes * cell.segments],
                segment_size: Some(cell.datagram_bytes),
                src_ip: None,
            };
            self.quinn.try_send(UdpSockRef::from(&self.plain), &train)?;
        }
        Ok(())
    }

    fn send_batches(&mut self, cell: &Cell, mode: GsoMode) -> Result<()> {
        let now = Instant::now();
        let mut sent = 0;
        for index in 0..DESTINATIONS {
            for _ in 0..cell.segments {
                if self.append(index, cell.datagram_bytes) == Err(AppendError::Full) {
                    sent += self.flush(mode, now)?;
                    self.append(index, cell.datagram_bytes)?;
                }
            }
        }
        sent += self.flush(mode, now)?;
        match DESTINATIONS * cell.segments - sent {
            0 => Ok(()),
            missing => Err(format!("{missing} packets were not sent").into()),
        }
    }

    /// In place, with the bytes that are there: the other methods do not write theirs either.
    fn append(&mut self, index: usize, len: usize) -> Result<(), AppendError> {
        self.batch.append_with(self.destinations[index], None, len, |bytes| Some(bytes.len())).map(|_| ())
    }

    fn flush(&mut self, mode: GsoMode, now: Instant) -> Result<usize> {
        let sender = match mode {
            GsoMode::On => &mut self.in_trains,
            GsoMode::Off => &mut self.one_by_one,
        };
        let report = sender.flush(&self.socket, &mut self.batch, now);
        if report.gso_fallbacks + report.blocked_messages + report.dropped.total() > 0 {
            return Err(format!("the kernel did not take everything: {report:?}").into());
        }
        Ok(hint::black_box(report.segments))
    }
}

/// Where the packets go.
enum Topology {
    /// Through a veth pair into a namespace that drops them; the thread keeps that namespace alive.
    Veth { _far: mpsc::Sender<()> },
    /// To one socket that is never read.
    Loopback { _sink: Socket, port: u16 },
}

impl std::fmt::Display for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Veth { .. } => "veth between two network namespaces",
            Self::Loopback { .. } => "loopback, to a socket that is not read",
        })
    }
}

impl Topology {
    fn new() -> Result<Self> {
        match Self::veth() {
            Ok(veth) => Ok(veth),
            Err(error) => {
                eprintln!("no network namespaces ({error}): falling back to loopback");
                Self::loopback()
            }
        }
    }

    fn veth() -> Result<Self> {
        let (ready, is_ready) = mpsc::channel();
        let (release, until_released) = mpsc::channel::<()>();
        thread::Builder::new().name("far".into()).spawn(move || {
            let _ = ready.send(enter_new_namespace());
            // Returns when the sender is dropped; the namespace ends with this thread.
            let _ = until_released.recv();
        })?;
        let far = is_ready.recv()??;
        enter_new_namespace()?;
        ip("link set lo up")?;
        ip(&format!("link add near type veth peer name far address {FAR_MAC} netns {far}"))?;
        ip(&format!("address add {NEAR}/24 dev near"))?;
        ip("link set near up")?;
        command(
            "nsenter",
            &format!("--net=/proc/{}/task/{far}/ns/net ip link set far up", std::process::id()),
        )?;
        // Nobody there answers ARP.
        ip(&format!("neighbour add {FAR} lladdr {FAR_MAC} dev near nud permanent"))?;
        let [a, b] = DESTINATION_NETWORK;
        ip(&format!("route add {a}.{b}.0.0/16 via {FAR}"))?;
        Ok(Self::Veth { _far: release })
    }

    fn loopback() -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let sink = Socket::bind(SocketOptions { address, receive_buffer: 4_096, send_buffer: 0 })?;
        Ok(Self::Loopback { port: sink.local_addr().port(), _sink: sink })
    }

    fn destination(&self, index: usize) -> SocketAddr {
        let [high, low] = [(index / 250) as u8, (index % 250) as u8 + 1];
        match self {
            Self::Veth { .. } => {
                let [a, b] = DESTINATION_NETWORK;
                SocketAddr::from((Ipv4Addr::new(a, b, high, low), 50_000))
            }
            // All of 127/8 is this machine; the sink listens on every address.
            Self::Loopback { port, .. } => SocketAddr::from((Ipv4Addr::new(127, 99, high, low), *port)),
        }
    }

    /// That packets left by the veth pair and none was dropped before: or the table would time something
    /// else.
    fn check_traffic(&self) -> Result<()> {
        let Self::Veth { .. } = self else { return Ok(()) };
        // Columns of the transmit half: bytes, packets, errors, drops (proc(5)).
        let devices = fs::read_to_string("/proc/thread-self/net/dev")?;
        let near = devices.lines().find_map(|line| line.trim().strip_prefix("near:")).unwrap_or_default();
        let sent: Vec<u64> =
            near.split_whitespace().skip(8).filter_map(|number| number.parse().ok()).collect();
        match sent[..] {
            [_, packets, 0, 0, ..] if packets > 0 => Ok(()),
            _ => Err(format!("the veth pair did not carry the packets: {near}").into()),
        }
    }
}

/// Moves the calling thread to a network namespace of its own; returns the thread's id, by which others can
/// name it.
fn enter_new_namespace() -> io::Result<libc::pid_t> {
    // SAFETY: `unshare` takes no pointers; CLONE_NEWNET concerns only the calling thread.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        // SAFETY: `gettid` takes nothing and cannot fail.
        0 => Ok(unsafe { libc::gettid() }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn ip(arguments: &str) -> Result<()> {
    command("ip", arguments)
}

fn command(program: &str, arguments: &str) -> Result<()> {
    let output = Command::new(program).args(arguments.split_whitespace()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}
