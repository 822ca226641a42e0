//! The sending side of the floor. A shell: it waits for each step's time and reads its own CPU time.
//!
//! Owns a key, a sequence number and an address per destination, and nothing else of a viewer. What is in
//! the floor and what is not: [`super`].
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and waits")]

use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sluice_bench::floor::{CLIP, Floor};
use sluice_io::{AppendError, Batch, BatchLimits, GsoMode, Sender, Socket, SocketOptions, gso};
use sluice_load::process::{Sample, thread_times};
use sluice_media::Kind;
use sluice_media::srtp::{
    Header, Keying, Library, PacketIndex, RTP_HEADER, Sealed, Sealer, SendKeys, TAG_MAX,
};
use str0m::crypto::dtls::SrtpProfile;
use str0m::crypto::{CryptoProvider, from_feature_flags};
use zeroize::Zeroizing;

use super::pattern::{Pattern, Step};
use crate::shard::MESSAGES_PER_TURN;
use crate::track::Train;

/// `abs-send-time` alone in its block (RFC 8285 §4.2), as viewers get it once they have reported: 8 bytes.
const EXTENSION: [u8; 8] = [0xbe, 0xde, 0, 1, 0x12, 0, 0, 0];

/// What the server asks for by default (`udp.send_buffer`).
const SEND_BUFFER: usize = 8 << 20;

/// The command line; the rig writes it.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Addresses, one a line, up to an empty line.
    #[arg(long)]
    destinations: PathBuf,
    /// Our address that datagrams leave from.
    #[arg(long)]
    source: IpAddr,
    /// Streams; destinations are shared out among them.
    #[arg(long)]
    streams: usize,
    /// Pictures carry a send time.
    #[arg(long)]
    send_times: bool,
    /// Who seals: the library that the server took.
    #[arg(long)]
    cipher: Library,
    /// Milliseconds before measuring.
    #[arg(long)]
    warm_up: u64,
    /// Milliseconds to measure.
    #[arg(long)]
    duration: u64,
}

/// A viewer without anything but its key, its numbers and its address.
struct Destination {
    address: SocketAddr,
    sealer: Sealer,
    ssrcs: [u32; 2],
    next: [PacketIndex; 2],
}

/// The way to the kernel, and what was counted on it.
struct Way {
    socket: Socket,
    sender: Sender,
    batch: Batch,
    source: IpAddr,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    packets: u64,
    bytes: u64,
    messages: u64,
    dropped: u64,
}

/// Sends, and prints what it cost.
#[expect(clippy::print_stdout, reason = "its standard output is its result")]
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut destinations = destinations(options)?;
    let each = destinations[0].len();
    let pattern = Pattern::new(options.streams, each, options.send_times, Instant::now());
    // As the server's: dual stack, with buffers of its defaults.
    let address = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
    let bind = |address| Socket::bind(SocketOptions { address, receive_buffer: 0, send_buffer: SEND_BUFFER });
    let socket = bind(address).or_else(|_| bind(SocketAddr::new(options.source, 0)))?;
    let mode = gso::self_test().map_or(GsoMode::Off, |verdict| verdict.mode());
    let mut way = Way {
        socket,
        sender: Sender::new(mode),
        batch: Batch::new(BatchLimits::default()),
        source: options.source,
        counts: Counts::default(),
    };

    let began = Instant::now();
    let (warm_up, duration) =
        (Duration::from_millis(options.warm_up), Duration::from_millis(options.duration));
    let mut steps = Steps { pattern: &pattern, next: 0, repetition: 0 };
    steps.send_until(began, warm_up, &mut destinations, &mut way);
    let (before, counts_before, at) = (own()?, way.counts, Instant::now());
    let late = steps.send_until(began, warm_up + duration, &mut destinations, &mut way);
    let (after, counts, seconds) = (own()?, way.counts, at.elapsed().as_secs_f64());

    let floor = Floor {
        destinations: destinations.iter().map(Vec::len).sum::<usize>() as u32,
        seconds,
        packets: counts.packets - counts_before.packets,
        bytes: counts.bytes - counts_before.bytes,
        messages: counts.messages - counts_before.messages,
        dropped: counts.dropped - counts_before.dropped,
        cpu_seconds: after.cpu.saturating_sub(before.cpu).as_secs_f64(),
        system_seconds: after.system.saturating_sub(before.system).as_secs_f64(),
        late_seconds: late.as_secs_f64(),
        arrived: 0,
        sent: counts.packets,
    };
    println!("{}", serde_json::to_string(&floor)?);
    Ok(())
}

/// CPU time that this process, which is this thread, has used.
struct Own {
    cpu: Duration,
    system: Duration,
}

fn own() -> anyhow::Result<Own> {
    let sample = Sample::of_all(&[std::process::id()]);
    let sample = sample.ok_or_else(|| anyhow::anyhow!("/proc/self cannot be read"))?;
    // The same account without its rounding, where the kernel keeps it; brought up to date by the look before.
    let (exact, _) = thread_times();
    let cpu = if exact > Duration::ZERO { exact } else { sample.cpu() };
    Ok(Own { cpu, system: sample.system })
}

/// The destinations of each stream.
fn destinations(options: &Options) -> anyhow::Result<Vec<Vec<Destination>>> {
    let text = fs::read_to_string(&options.destinations)?;
    let addresses: Vec<SocketAddr> =
        text.lines().take_while(|line| !line.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
    anyhow::ensure!(
        options.streams > 0 && !addresses.is_empty() && addresses.len().is_multiple_of(options.streams),
        "{} destinations cannot be shared out evenly among {} streams",
        addresses.len(),
        options.streams
    );
    let crypto = from_feature_flags();
    let mut streams: Vec<Vec<Destination>> = (0..options.streams).map(|_| Vec::new()).collect();
    for (index, address) in addresses.into_iter().enumerate() {
        streams[index % options.streams].push(Destination::new(address, &crypto, options.cipher)?);
    }
    Ok(streams)
}

impl Destination {
    fn new(address: SocketAddr, crypto: &CryptoProvider, library: Library) -> anyhow::Result<Destination> {
        // What generator and browsers agree on with the server.
        let profile = SrtpProfile::AEAD_AES_256_GCM;
        let material = (0..profile.keying_material_len()).map(|_| rand::random()).collect();
        let keying = Keying { material: Zeroizing::new(material), profile, active: false };
        let sealer = SendKeys::derive(&keying, crypto).and_then(|keys| Sealer::new(&keys, library));
        let sealer = sealer.ok_or_else(|| anyhow::anyhow!("{profile} gave no key"))?;
        // Different, because each numbers its packets under the same key.
        let ssrc = rand::random::<u32>() & !1;
        Ok(Destination { address, sealer, ssrcs: [ssrc, ssrc | 1], next: [PacketIndex::default(); 2] })
    }

    /// The packets of a train, as the server's `Outgoing::send` writes them; `padding` goes behind the last.
    fn send(&mut self, train: &Train, padding: u8, way: &mut Way) {
        let track = usize::from(train.codec.kind() == Kind::Audio);
        let first = self.next[track];
        self.next[track] += train.packets.len() as u64;
        for (index, payload) in train.packets.iter().enumerate() {
            let header = Header {
                payload_type: [96_u8, 111][track].into(),
                marker: train.marker(index),
                index: first + index as u64,
                timestamp: train.timestamp as u32,
                ssrc: self.ssrcs[track].into(),
                extension: &EXTENSION,
                padding: if index + 1 == train.packets.len() { padding } else { 0 },
            };
            let max = RTP_HEADER + EXTENSION.len() + payload.len() + usize::from(header.padding) + TAG_MAX;
            way.append(self.address, max, |out| self.sealer.rtp(header, &[], payload, out).map(Sealed::len));
        }
    }
}

impl Way {
    /// Makes room for one turn, so that it is not divided between two calls of the kernel: as the server does.
    fn make_room(&mut self, bytes: usize) {
        if !self.batch.has_room(MESSAGES_PER_TURN, bytes) {
            self.flush();
        }
    }

    /// Lets `write` put a packet where it is sent from. `write` may be asked for twice and runs once.
    fn append(&mut self, destination: SocketAddr, max: usize, write: impl Fn(&mut [u8]) -> Option<usize>) {
        let source = Some(self.source);
        if self.batch.append_with(destination, source, max, &write) == Err(AppendError::Full) {
            self.flush();
            // An empty batch has room for any packet.
            let _ = self.batch.append_with(destination, source, max, &write);
        }
    }

    /// What does not fit the socket is dropped and counted.
    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let report = self.sender.flush(&self.socket, &mut self.batch, Instant::now());
        self.counts.packets += report.segments as u64;
        self.counts.bytes += report.bytes as u64;
        self.counts.messages += report.messages as u64;
        self.counts.dropped += (report.dropped.total() + self.batch.segments()) as u64;
        self.batch.clear();
    }
}

/// Where the schedule stands.
struct Steps<'a> {
    pattern: &'a Pattern,
    next: usize,
    repetition: u32,
}

impl Steps<'_> {
    /// Sends every step that is due before `end`, counted from `began`. Returns how late the last one was.
    fn send_until(
        &mut self,
        began: Instant,
        end: Duration,
        destinations: &mut [Vec<Destination>],
        way: &mut Way,
    ) -> Duration {
        let mut late = Duration::ZERO;
        loop {
            let Step { at, stream, places, trains, bytes } = &self.pattern.steps[self.next];
            let due = CLIP * self.repetition + *at;
            let now = began.elapsed();
            // Too late by the clock ends it as well: a core that is too slow must not go on for ever.
            if due >= end || now >= end {
                way.flush();
                return late;
            }
            if now < due {
                way.flush();
                std::thread::sleep(due.saturating_sub(began.elapsed()));
            }
            late = began.elapsed().saturating_sub(due);
            for destination in &mut destinations[*stream][places.clone()] {
                way.make_room(*bytes);
                trains.iter().for_each(|(train, padding)| destination.send(train, *padding, way));
            }
            self.next += 1;
            if self.next == self.pattern.steps.len() {
                (self.next, self.repetition) = (0, self.repetition + 1);
            }
        }
    }
}
