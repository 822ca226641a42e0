//! The packets of one track in their order: lost ones counted, late ones put back, restarts told from losses.
//!
//! Owns what is known of a sender: its SSRC, its next sequence number, its timestamps unwrapped. retina reads the
//! packet's header. Never looks into a payload.

mod claim;

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use retina::rtp::PacketHeader;

use self::claim::Claim;

/// A gap up to this is loss (RFC 3550 §A.1, `MAX_DROPOUT`); beyond it the numbers have jumped. Raising it counts
/// restarts as losses.
const MAX_GAP: u16 = 3_000;

/// A step back up to this is a packet that comes late (RFC 3550 §A.1, `MAX_MISORDER`).
const MAX_LATE: u16 = 100;

/// Packets that come late one after another before it is believed that the numbers have been set back.
const MAX_LATE_RUN: u8 = 16;

/// Restarts one after another, without two packets in order between, before numbers are not believed any more.
const MAX_RESTARTS: u8 = 8;

/// Packets over UDP held for one that is missing. More puts back what is further out of order, and costs a packet's
/// memory each and delay after each loss.
const MAX_HELD: usize = 16;

/// How long they are held at most. The delay of a picture after a loss; less than the distance of two pictures.
const HOLD: Duration = Duration::from_millis(30);

/// Packets one after another with a gap before each, inside a connection, before numbers are not believed any more: no
/// camera loses every second packet so evenly, and some count in steps.
const MAX_STEPS: u8 = 16;

/// A packet in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ordered {
    pub(super) payload: Bytes,
    pub(super) payload_type: u8,
    pub(super) marker: bool,
    /// Unwrapped, in ticks.
    pub(super) timestamp: i64,
    /// Packets missing just before this one.
    pub(super) lost: u16,
    /// The sender began anew with this one: what came before says nothing about it.
    pub(super) restarted: bool,
    pub(super) received: Instant,
}

/// One as it came.
#[derive(Debug)]
struct Raw {
    header: PacketHeader,
    payload: Bytes,
    received: Instant,
}

/// Puts the packets of a track into order.
#[derive(Debug)]
pub(super) struct Order {
    /// Payload types that are taken.
    types: Vec<u8>,
    /// Packets may overtake each other.
    udp: bool,
    sender: Option<Sender>,
    /// Who may take its place.
    claim: Claim,
    /// By sequence number, all ahead of the next.
    held: Vec<Raw>,
    /// The first packet of what may be new numbers.
    stray: Option<Raw>,
    late_run: u8,
    restarts: u8,
    steps: u8,
    /// Numbers that mean nothing.
    disbelieved: bool,
    /// What tells the last packet from another one.
    last: (usize, [u8; 16]),
    discarded: u64,
}

#[derive(Debug, Clone, Copy)]
struct Sender {
    ssrc: u32,
    next: u16,
    timestamp: i64,
}

impl Order {
    /// Of packets of these `types`. `announced` is the SSRC that SETUP named: it is often wrong, and so decides only
    /// between two that send.
    pub(super) fn new(types: Vec<u8>, udp: bool, announced: Option<u32>) -> Order {
        Order {
            types,
            udp,
            sender: None,
            claim: Claim::new(announced),
            held: Vec::new(),
            stray: None,
            late_run: 0,
            restarts: 0,
            steps: 0,
            disbelieved: false,
            last: (0, [0; 16]),
            discarded: 0,
        }
    }

    /// Takes another payload type, too.
    pub(super) fn take(&mut self, payload_type: u8) {
        self.types.push(payload_type);
    }

    /// Packets that somebody else sent while the sender went on.
    pub(super) fn foreign(&self) -> u64 {
        self.claim.foreign()
    }

    /// Whether its numbers mean nothing, so that losses cannot be told.
    pub(super) fn is_disbelieved(&self) -> bool {
        self.disbelieved
    }

    /// The sender `ssrc` says that it ends (RFC 3550 §6.6). Returns whether it is this one.
    pub(super) fn end(&mut self, ssrc: u32) -> bool {
        let ends = self.sender.is_some_and(|sender| sender.ssrc == ssrc);
        if ends {
            self.claim.let_go();
        }
        ends
    }

    /// The timestamp that the sender `ssrc`, or whoever sends, means by the 32 bits `wire`, unwrapped; nothing before its
    /// first packet, or of somebody else.
    pub(super) fn timestamp(&self, ssrc: Option<u32>, wire: u32) -> Option<i64> {
        let sender = self.sender.filter(|sender| ssrc.is_none_or(|ssrc| ssrc == sender.ssrc))?;
        let step = wire.wrapping_sub(sender.timestamp as u32).cast_signed();
        Some(sender.timestamp + i64::from(step))
    }

    /// Whoever sends next is the sender.
    pub(super) fn let_go(&mut self) {
        self.claim.let_go();
    }

    /// Packets that were none, came too late, or are somebody else's.
    pub(super) fn discarded(&self) -> u64 {
        self.discarded
    }

    /// When [`Order::release`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.overdue().into_iter().chain(self.claim.deadline()).min()
    }

    /// When the oldest that is held is waited for no more.
    fn overdue(&self) -> Option<Instant> {
        self.held.iter().map(|raw| raw.received).min().map(|oldest| oldest + HOLD)
    }

    /// Takes a packet and appends those that are in order now. `missing`: how many are before it, where that is
    /// known though other tracks use up numbers.
    pub(super) fn push(
        &mut self,
        mut packet: Bytes,
        received: Instant,
        missing: Option<u16>,
        out: &mut Vec<Ordered>,
    ) {
        if PacketHeader::validate(&packet[..]).is_err() {
            packet = without_padding_bit(&packet);
        }
        let Ok((header, range)) = PacketHeader::validate(&packet[..]) else {
            self.discarded += 1;
            return;
        };
        packet.truncate(usize::from(range.end));
        let raw = Raw { header, payload: packet.split_off(usize::from(range.start)), received };
        let known = self.sender.is_some_and(|sender| sender.ssrc == header.ssrc());
        if !known {
            // Another stream on the same channel or port, with types and numbers of its own.
            if !self.types.contains(&header.payload_type()) {
                self.discarded += 1;
                return;
            }
            if self.claim.push(raw, self.sender.map(|sender| sender.ssrc)) {
                self.succeed(out);
            }
            return;
        }
        self.claim.refuse(received);
        self.place(raw, missing, out);
    }

    /// Another one takes the sender's place.
    fn succeed(&mut self, out: &mut Vec<Ordered>) {
        let mut packets = self.claim.take(self.sender.map(|sender| sender.ssrc)).into_iter();
        let Some(first) = packets.next() else { return };
        self.restart(first, out);
        for raw in packets {
            self.place(raw, None, out);
        }
    }

    /// Takes a packet of the sender.
    fn place(&mut self, raw: Raw, missing: Option<u16>, out: &mut Vec<Ordered>) {
        let (header, received) = (raw.header, raw.received);
        let next = self.sender.map_or(0, |sender| sender.next);
        let ahead = header.sequence_number().wrapping_sub(next);
        match ahead {
            _ if self.disbelieved => self.deliver(raw, 0, false, out),
            0 => {
                self.restarts = 0;
                self.steps = 0;
                self.deliver(raw, 0, false, out);
                self.drain(out);
            }
            1..=MAX_GAP if self.udp => {
                self.hold(raw);
                if self.held.len() > MAX_HELD {
                    self.release_first(out);
                }
                self.release(received, out);
            }
            1..=MAX_GAP => {
                let lost = missing.map_or(ahead, |missing| missing.min(ahead));
                self.steps = if lost > 0 { self.steps + 1 } else { 0 };
                self.disbelieved |= self.steps >= MAX_STEPS;
                self.deliver(raw, lost, false, out);
            }
            // Nothing overtakes inside a connection: one number for all packets of a picture.
            u16::MAX if !self.udp && self.is_beside_last(&raw) => self.deliver(raw, 0, false, out),
            _ if ahead >= MAX_LATE.wrapping_neg() && self.late_run < MAX_LATE_RUN => {
                self.late_run += 1;
                self.discarded += 1;
            }
            // Over UDP one packet may be an accident; the next one tells.
            _ if self.udp => match self.stray.take() {
                Some(stray) if follows(&stray.header, &header) => {
                    self.restart(stray, out);
                    self.deliver(raw, 0, false, out);
                }
                _ => self.stray = Some(raw),
            },
            _ => self.restart(raw, out),
        }
    }

    /// Whether it is of the last packet's picture, and not that packet again.
    fn is_beside_last(&self, raw: &Raw) -> bool {
        let timestamp = self.sender.map(|sender| sender.timestamp as u32);
        timestamp == Some(raw.header.timestamp()) && self.last != begin_of(&raw.payload)
    }

    /// Gives up waiting for what is overdue, and for a sender that has ended.
    pub(super) fn release(&mut self, now: Instant, out: &mut Vec<Ordered>) {
        while self.overdue().is_some_and(|deadline| deadline <= now) {
            self.release_first(out);
        }
        if self.claim.is_due(now) {
            self.succeed(out);
        }
    }

    fn hold(&mut self, raw: Raw) {
        let next = self.sender.map_or(0, |sender| sender.next);
        let ahead = |raw: &Raw| raw.header.sequence_number().wrapping_sub(next);
        match self.held.binary_search_by_key(&ahead(&raw), ahead) {
            Ok(_) => self.discarded += 1,
            Err(at) => self.held.insert(at, raw),
        }
    }

    /// Delivers the first that is held, with the loss before it, and those that follow without a gap.
    fn release_first(&mut self, out: &mut Vec<Ordered>) {
        if self.held.is_empty() {
            return;
        }
        let raw = self.held.remove(0);
        let next = self.sender.map_or(0, |sender| sender.next);
        let lost = raw.header.sequence_number().wrapping_sub(next);
        self.deliver(raw, lost, false, out);
        self.drain(out);
    }

    fn drain(&mut self, out: &mut Vec<Ordered>) {
        while let (Some(sender), Some(first)) = (self.sender, self.held.first())
            && first.header.sequence_number() == sender.next
        {
            let raw = self.held.remove(0);
            self.deliver(raw, 0, false, out);
        }
    }

    /// A new SSRC, or numbers that have nothing to do with those before.
    fn restart(&mut self, raw: Raw, out: &mut Vec<Ordered>) {
        while !self.held.is_empty() {
            self.release_first(out);
        }
        let first = self.sender.is_none();
        let same = self.sender.is_some_and(|sender| sender.ssrc == raw.header.ssrc());
        self.restarts = if same { self.restarts + 1 } else { 0 };
        self.steps = 0;
        self.disbelieved = self.restarts >= MAX_RESTARTS;
        self.deliver(raw, 0, !first, out);
    }

    fn deliver(&mut self, raw: Raw, lost: u16, restarted: bool, out: &mut Vec<Ordered>) {
        let Raw { header, payload, received } = raw;
        self.late_run = 0;
        self.stray = None;
        self.last = begin_of(&payload);
        let timestamp = match self.sender {
            // The step from the last one, as the shorter way round 32 bits.
            Some(sender) => {
                let step = header.timestamp().wrapping_sub(sender.timestamp as u32) as i32;
                sender.timestamp + i64::from(step)
            }
            None => i64::from(header.timestamp()),
        };
        let next = header.sequence_number().wrapping_add(1);
        self.sender = Some(Sender { ssrc: header.ssrc(), next, timestamp });
        out.push(Ordered {
            payload,
            payload_type: header.payload_type(),
            marker: header.mark(),
            timestamp,
            lost,
            restarted,
            received,
        });
    }
}

/// The same with its padding bit cleared: some cameras set it and pad nothing.
fn without_padding_bit(packet: &Bytes) -> Bytes {
    let mut copy = BytesMut::from(&packet[..]);
    if let Some(first) = copy.first_mut() {
        *first &= !0x20;
    }
    copy.freeze()
}

/// Length and first bytes.
fn begin_of(payload: &[u8]) -> (usize, [u8; 16]) {
    let mut begin = [0; 16];
    let length = payload.len().min(begin.len());
    begin[..length].copy_from_slice(&payload[..length]);
    (payload.len(), begin)
}

fn follows(first: &PacketHeader, second: &PacketHeader) -> bool {
    second.sequence_number() == first.sequence_number().wrapping_add(1)
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
