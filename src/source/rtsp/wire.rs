//! The bytes of an RTSP connection, taken apart: messages, and packets interleaved with them (RFC 2326 §10.12).
//!
//! Owns the bytes not yet understood, bounded, and the way back into step: rubbish between packets is skipped to the
//! next plausible beginning. Never knows what a message is for.

use bytes::{Buf as _, Bytes, BytesMut};

use super::message::{Head, Start, begins_response, read_head};

/// Bytes of a message's head, at most. Cameras send hundreds. Raising it costs that memory per camera at worst.
pub(super) const MAX_HEAD: usize = 16 << 10;

/// Bytes of a message's body, at most: a session description. Cameras send one or two thousand. Raising it costs
/// that memory, and the reading of it, per camera at worst.
pub(super) const MAX_BODY: usize = 256 << 10;

/// Room for one read. An interleaved packet is at most this and four bytes (its length has 16 bits), so a camera
/// makes us hold about two of it. Less costs more reads for a keyframe that has already arrived; more is memory per
/// camera.
const READ: usize = 64 << 10;

/// Less room than this, and the next read gets a whole `READ`.
const MIN_ROOM: usize = 16 << 10;

/// Bytes of rubbish that are kept to show what was sent.
const SAMPLE: usize = 64;

/// The shortest packet worth skipping to: a header of RTCP.
const MIN_PACKET: usize = 8;

/// Bytes of an interleaved packet that is neither RTP nor RTCP, at most: what claims more is no packet, and waiting
/// for its end would swallow those that are.
const MAX_FOREIGN: usize = 2 << 10;

/// Where the SSRC of an interleaved packet of RTP ends.
const SENDER_END: usize = 16;

/// Channels whose senders are remembered: those of two tracks.
const SENDERS: usize = 4;

/// Requests that a camera may send us; what else looks like one is rubbish.
const REQUESTS: [&[u8]; 8] = [
    b"OPTIONS ",
    b"GET_PARAMETER ",
    b"SET_PARAMETER ",
    b"ANNOUNCE ",
    b"REDIRECT ",
    b"TEARDOWN ",
    b"DESCRIBE ",
    b"PLAY_NOTIFY ",
];

/// What the connection brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Message(Message),
    /// A packet on a channel.
    Packet(u8, Bytes),
}

/// A message, with its head also as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) head: Head,
    pub(super) raw: Bytes,
    pub(super) body: Bytes,
}

/// What the camera is about to send, as far as it decides how its bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Expected {
    #[default]
    Answer,
    /// An answer with a session description, whatever its headers say of a body.
    Description,
    /// Packets. Nothing that a message gets wrong is worth them.
    Media,
}

/// More than is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooLarge {
    Head,
    Body,
}

/// Takes a connection's bytes apart.
#[derive(Debug, Default)]
pub(super) struct Wire {
    buffer: BytesMut,
    /// How much of `buffer` has no end of a head in it, or of a body without a length.
    scanned: usize,
    pending: Option<Pending>,
    expected: Expected,
    /// How much of `buffer` was looked through for a packet inside of another: it is not done twice.
    searched: usize,
    /// Bytes looked through for that, ever.
    #[cfg(test)]
    search_work: usize,
    /// Out of step: looking for a plausible beginning.
    skipping: bool,
    skipped: u64,
    sample: Vec<u8>,
    /// Who sent on each channel last.
    senders: [Option<(u8, [u8; 4])>; SENDERS],
}

impl Wire {
    /// Where the next read goes: always with room.
    pub(super) fn input(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < MIN_ROOM {
            self.buffer.reserve(READ);
        }
        &mut self.buffer
    }

    /// What comes next is read as this.
    pub(super) fn expect(&mut self, expected: Expected) {
        self.expected = expected;
    }

    /// Bytes that belonged to nothing.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The first of them.
    pub(super) fn sample(&self) -> &[u8] {
        &self.sample
    }

    /// Whether a message has begun and not ended.
    pub(super) fn is_amid_message(&self) -> bool {
        self.pending.is_some() || self.scanned > 0
    }

    /// Whether the body that comes has no announced length.
    pub(super) fn is_open_ended(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.wanted.is_none())
    }

    /// Whether the body that comes is a session description that may be whole: what is there ends with a line, and has
    /// a section.
    pub(super) fn has_description(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.is_description)
            && self.buffer.ends_with(b"\n")
            && self.buffer[..].split(|byte| *byte == b'\n').any(|line| line.starts_with(b"m="))
    }

    /// The next whole message or packet. `None` wants more bytes.
    pub(super) fn next(&mut self) -> Result<Option<Item>, TooLarge> {
        loop {
            if self.pending.is_some() {
                let Some(length) = self.body_length()? else { return Ok(None) };
                return Ok(self.take_body(length));
            }
            match self.begin() {
                Begin::More => return Ok(None),
                Begin::Blank => self.pass(1),
                Begin::Message => {
                    if !self.head()? {
                        return Ok(None);
                    }
                }
                Begin::Packet(length) => {
                    if let Some(packet) = self.packet(length) {
                        return Ok(Some(packet));
                    }
                }
                Begin::Rubbish => {
                    self.skipping = true;
                    let end = (1..self.buffer.len()).find(|at| may_begin(self.buffer[*at]));
                    self.skip(end.unwrap_or(self.buffer.len()));
                }
            }
        }
    }

    /// Ends a body before its announced end, for a camera that announced too much or nothing and then is silent.
    pub(super) fn cut_short(&mut self) -> Option<Item> {
        self.pending.is_some().then(|| self.take_body(self.buffer.len())).flatten()
    }

    /// How long the pending body is. `None` wants more bytes.
    fn body_length(&mut self) -> Result<Option<usize>, TooLarge> {
        let Some(pending) = &mut self.pending else { return Ok(None) };
        let Some(wanted) = pending.wanted else {
            // Text goes on until something else begins.
            return match text_end(&self.buffer, &mut self.scanned) {
                Some(end) => Ok(Some(end)),
                None if self.buffer.len() > MAX_BODY => Err(TooLarge::Body),
                None => Ok(None),
            };
        };
        if pending.is_description && self.buffer.len() >= wanted && goes_on(&self.buffer, wanted) {
            let before = &self.buffer[..wanted];
            self.scanned = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            pending.wanted = None;
            return self.body_length();
        }
        // The length of a body that is not there would take packets along.
        let there = wanted.min(self.buffer.len());
        let ended = if begins_response(&self.buffer[..there]) { Some(0) } else { self.media_within(there) };
        self.scanned = there;
        Ok(ended.or((there == wanted).then_some(wanted)))
    }

    /// Where a packet begins before `end`, though a message has not ended: behind a line's end, or one of a sender
    /// that is known. The search goes on from `scanned`.
    fn media_within(&self, end: usize) -> Option<usize> {
        let data = &self.buffer[..];
        (self.scanned.saturating_sub(SENDER_END)..end).find(|at| {
            data[*at] == b'$'
                && is_packet(data, *at)
                && (*at == 0 || data[*at - 1] == b'\n' || self.is_known(&data[*at..]))
        })
    }

    /// Forgets the first `bytes`.
    fn pass(&mut self, bytes: usize) {
        self.searched = self.searched.saturating_sub(bytes);
        self.buffer.advance(bytes);
    }

    fn take_body(&mut self, length: usize) -> Option<Item> {
        let Pending { head, raw, .. } = self.pending.take()?;
        self.scanned = 0;
        self.searched = 0;
        let body = self.buffer.split_to(length.min(self.buffer.len())).freeze();
        Some(Item::Message(Message { head, raw, body }))
    }

    fn skip(&mut self, bytes: usize) {
        let room = SAMPLE - self.sample.len().min(SAMPLE);
        self.sample.extend_from_slice(&self.buffer[..bytes.min(room)]);
        self.skipped += bytes as u64;
        self.pass(bytes);
    }

    /// What the buffer begins with.
    fn begin(&self) -> Begin {
        let data = &self.buffer[..];
        match data.first() {
            None => Begin::More,
            Some(b'\r' | b'\n' | 0) => Begin::Blank,
            Some(b'$') => {
                let Some(&[high, low]) = data.get(2..4) else { return Begin::More };
                let length = usize::from(u16::from_be_bytes([high, low]));
                if self.skipping {
                    // It has to look like RTP or RTCP, and come from a known sender or be followed by another
                    // beginning.
                    if data.len() == 4 {
                        return Begin::More;
                    }
                    let whole = data.len() >= 4 + length;
                    if !is_packet(data, 0) || whole && !self.is_known(data) && !begins_at(data, 4 + length) {
                        return Begin::Rubbish;
                    }
                }
                let foreign = data.get(4).is_some_and(|first| first >> 6 != 2);
                match data.len() < 4 + length {
                    true if foreign && length > MAX_FOREIGN => Begin::Rubbish,
                    true => Begin::More,
                    false => Begin::Packet(length),
                }
            }
            Some(_) => match begins_message(data) {
                Some(true) => Begin::Message,
                Some(false) => Begin::Rubbish,
                None => Begin::More,
            },
        }
    }

    /// Whether the packet comes on the channel and from the SSRC of one before.
    fn is_known(&self, packet: &[u8]) -> bool {
        sender(packet).is_some_and(|sender| self.senders.contains(&Some(sender)))
    }

    /// The packet at the buffer's beginning, `None` if it was cut and another one begins inside of it.
    fn packet(&mut self, length: usize) -> Option<Item> {
        let end = 4 + length;
        if !begins_at(&self.buffer, end) {
            // Either rubbish follows, or the camera lost a part of this packet on its way into the connection.
            let data = &self.buffer[..];
            let from = self.searched.clamp(4, end);
            let inside = (from..end).find(|at| {
                let next = frame_end(data, *at).unwrap_or(data.len());
                is_packet(data, *at)
                    && (is_packet(data, next) || begins_message(&data[next.min(data.len())..]) == Some(true))
            });
            // What looks like a beginning every few bytes would have each byte looked at thousands of times.
            self.searched = self.searched.max(inside.unwrap_or(end));
            #[cfg(test)]
            {
                self.search_work += inside.unwrap_or(end) - from;
            }
            // What looks like no packet and leads nowhere never was one.
            if let Some(at) = inside.or((!is_packet(data, 0)).then_some(1)) {
                self.skipping = true;
                self.skip(at);
                return None;
            }
        }
        self.skipping = false;
        let channel = self.buffer[1];
        self.senders[usize::from(channel) % SENDERS] = sender(&self.buffer);
        self.pass(4);
        self.searched = self.searched.saturating_sub(length);
        Some(Item::Packet(channel, self.buffer.split_to(length).freeze()))
    }

    /// Reads the head at the buffer's beginning, or skips what is none after all. `false` wants more bytes.
    fn head(&mut self) -> Result<bool, TooLarge> {
        let ended = head_end(&self.buffer, self.scanned);
        let media = self.media_within(ended.unwrap_or(self.buffer.len()));
        let Some(end) = media.or(ended) else {
            self.scanned = self.buffer.len();
            return if self.scanned > MAX_HEAD { self.head_too_large(self.scanned) } else { Ok(false) };
        };
        self.scanned = 0;
        if end > MAX_HEAD {
            return self.head_too_large(end);
        }
        if media.is_some() && !self.buffer[..end].contains(&b'\n') {
            self.skipping = true;
            self.skip(end);
            return Ok(true);
        }
        self.searched = 0;
        let raw = self.buffer.split_to(end).freeze();
        let head = read_head(&raw);
        self.skipping = false;
        let announced = head.headers.get("content-length");
        let digits = announced.as_deref().map(|value| value.trim_end_matches(|c: char| !c.is_ascii_digit()));
        let announced = digits.and_then(|digits| digits.parse::<u64>().ok());
        let is_description =
            self.expected == Expected::Description && matches!(head.start, Start::Response(200..=299));
        let is_text =
            is_description || head.headers.get("content-type").is_some_and(|kind| kind.contains("sdp"));
        let wanted = match announced {
            _ if media.is_some() => Some(0),
            Some(length) if length > MAX_BODY as u64 && self.expected == Expected::Media => Some(0),
            Some(length) if length > MAX_BODY as u64 => return Err(TooLarge::Body),
            Some(length) => Some(length as usize),
            None if is_text => None,
            None => Some(0),
        };
        self.pending = Some(Pending { head, raw, wanted, is_description });
        Ok(true)
    }

    /// A head of at least `bytes`: skipped where media are worth more than an answer.
    fn head_too_large(&mut self, bytes: usize) -> Result<bool, TooLarge> {
        if self.expected != Expected::Media {
            return Err(TooLarge::Head);
        }
        self.scanned = 0;
        self.skipping = true;
        self.skip(bytes);
        Ok(true)
    }
}

/// A head whose body is still coming.
#[derive(Debug)]
struct Pending {
    head: Head,
    raw: Bytes,
    /// How long it is, if the head says so.
    wanted: Option<usize>,
    /// A session description is asked for, and its length may be wrong.
    is_description: bool,
}

enum Begin {
    More,
    /// A byte between messages that means nothing.
    Blank,
    Message,
    /// A packet of that length, whole.
    Packet(usize),
    Rubbish,
}

/// Whether a message or packet may begin with this byte.
fn may_begin(byte: u8) -> bool {
    byte == b'$' || b"RHrh".contains(&byte) || REQUESTS.iter().any(|name| name[0] == byte)
}

/// Whether a message begins there. `None`: more bytes will tell.
fn begins_message(data: &[u8]) -> Option<bool> {
    if begins_response(data) || REQUESTS.iter().any(|name| data.starts_with(name)) {
        return Some(true);
    }
    let responses: [&[u8]; 2] = [b"RTSP/", b"HTTP/"];
    let mut names = REQUESTS.iter().chain(&responses);
    let unfinished =
        names.any(|name| data.len() < name.len() && name[..data.len()].eq_ignore_ascii_case(data));
    if unfinished { None } else { Some(false) }
}

/// Whether something may begin at `at`, as far as the bytes tell.
fn begins_at(data: &[u8], at: usize) -> bool {
    match data.get(at) {
        None | Some(b'\r' | b'\n' | 0) => true,
        Some(b'$') => data.len() < at + 5 || is_packet(data, at),
        Some(_) => begins_message(&data[at..]) != Some(false),
    }
}

/// Whether an interleaved packet at `at` has a length and the version of RTP and RTCP (RFC 3550 §5.1).
fn is_packet(data: &[u8], at: usize) -> bool {
    let Some(&[dollar, _, high, low, first]) = data.get(at..at + 5) else { return false };
    dollar == b'$' && usize::from(u16::from_be_bytes([high, low])) >= MIN_PACKET && first >> 6 == 2
}

/// Channel and SSRC of RTP.
fn sender(packet: &[u8]) -> Option<(u8, [u8; 4])> {
    Some((*packet.get(1)?, packet.get(12..SENDER_END)?.try_into().ok()?))
}

/// Where the packet at `at` ends.
fn frame_end(data: &[u8], at: usize) -> Option<usize> {
    let length = data.get(at + 2..at + 4)?;
    Some(at + 4 + usize::from(u16::from_be_bytes([length[0], length[1]])))
}

/// Where the head ends: behind an empty line. The search goes on from `scanned`.
fn head_end(data: &[u8], scanned: usize) -> Option<usize> {
    let from = scanned.saturating_sub(2);
    data[from..].iter().enumerate().filter(|(_, byte)| **byte == b'\n').find_map(|(at, _)| {
        match &data[from + at + 1..] {
            [b'\n', ..] => Some(from + at + 2),
            [b'\r', b'\n', ..] => Some(from + at + 3),
            _ => None,
        }
    })
}

/// Whether a session description goes on behind its announced end: in the middle of a line, or with another one.
fn goes_on(data: &[u8], end: usize) -> bool {
    let rest = &data[end..];
    let something_else = begins_response(rest) || is_packet(data, end);
    let is_amid_line = data[..end].last() != Some(&b'\n') && (end < 2 || data[1] == b'=');
    !something_else && (is_amid_line || rest.get(1) == Some(&b'='))
}

/// Where a session description of unknown length ends: at the first line that is none of it.
///
/// The search goes on from `scanned`, where a line begins.
fn text_end(data: &[u8], scanned: &mut usize) -> Option<usize> {
    while let Some(length) = data[*scanned..].iter().position(|byte| *byte == b'\n') {
        let line = data[*scanned..*scanned + length].trim_ascii();
        if !line.is_empty() && line.get(1) != Some(&b'=') {
            return Some(*scanned);
        }
        *scanned += length + 1;
    }
    let at = *scanned;
    let rest = &data[at..];
    (rest.first() == Some(&b'$') || begins_response(rest)).then_some(at)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
