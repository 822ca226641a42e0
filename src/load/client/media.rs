//! What a viewer does with media and reports: count all of it, and open what has to be opened.
//!
//! Owns the way of a datagram through the last mile, the counts and the check. Never says anything to the
//! server (that is `feedback`).

use std::time::Instant;

use sluice_media::{RedBlock, VideoCodec, read_red};

use super::super::formats::Format;
use super::super::frames::Plain;
use super::super::impair::{Fate, Path};
use super::super::packet::{self, Datagram, Header};
use super::super::rtcp;
use super::super::sequence::Sequence;
use super::super::track::Track;
use super::Client;

/// Streams of one viewer at the most: WHEP has one video and one audio, and a camera may restart.
const TRACKS_MAX: usize = 8;

impl Client {
    /// One media datagram, as the last mile delivers it.
    pub(super) fn handle_media(&mut self, now: Instant, header: Header, datagram: &[u8]) {
        let is_repair = matches!(self.formats.get(header.payload_type), Some(Format::Repair { .. }));
        if self.frozen && !is_repair && self.is_news(header) {
            return;
        }
        let fate = self.path.as_mut().map_or(Fate::Pass, |path| path.decide(is_repair));
        match fate {
            Fate::Lose => return,
            Fate::Hold => {
                self.held = datagram.to_vec();
                return;
            }
            Fate::Pass => {}
            Fate::Double => self.count(now, header, datagram),
        }
        self.count(now, header, datagram);
        if self.path.as_mut().is_some_and(Path::releases) {
            let held = std::mem::take(&mut self.held);
            if let Datagram::Rtp(header) = packet::classify(&held) {
                self.count(now, header, &held);
            }
        }
    }

    /// Whether a packet is ahead of its stream, or the first of one.
    fn is_news(&self, header: Header) -> bool {
        self.tracks.iter().find(|track| track.ssrc == header.ssrc).is_none_or(|track| track.is_ahead(header))
    }

    fn count(&mut self, now: Instant, header: Header, datagram: &[u8]) {
        self.totals.packets += 1;
        self.totals.bytes += datagram.len() as u64;
        match self.formats.get(header.payload_type) {
            Some(Format::Media { video, codec, clock }) => {
                self.first_packet_at.get_or_insert(now);
                let Some(sequence) = self.count_media(now, header, video, clock) else { return };
                if let Some(codec) = codec.filter(|_| self.frames.is_some()) {
                    self.verify(now, header, sequence, codec, datagram);
                }
            }
            Some(Format::Redundant { clock }) => {
                self.first_packet_at.get_or_insert(now);
                let Some(sequence) = self.count_media(now, header, false, clock) else { return };
                self.count_redundant(header, sequence, datagram);
            }
            Some(Format::Repair { of }) => self.count_repair(now, header, of, datagram),
            None => self.totals.unknown += 1,
        }
    }

    /// Returns the unwrapped number of a packet that is new.
    fn count_media(&mut self, now: Instant, header: Header, video: bool, clock: u32) -> Option<u64> {
        if let Some(track) = self.tracks.iter_mut().find(|track| track.ssrc == header.ssrc) {
            return track.handle_packet(now, header);
        }
        if self.tracks.len() == TRACKS_MAX {
            self.totals.unknown += 1;
            return None;
        }
        if video
            && self.path.as_ref().is_some_and(|path| path.done().lost > 0)
            && let Some(frames) = &mut self.frames
        {
            frames.lost_beginning();
        }
        let nack = self.behaviour.nack && video;
        self.tracks.push(Track::starting_with(now, header, video, clock, nack));
        Some(u64::from(header.sequence))
    }

    fn verify(&mut self, now: Instant, header: Header, sequence: u64, codec: VideoCodec, datagram: &[u8]) {
        let (Some(frames), Some(srtp)) = (&mut self.frames, &mut self.srtp) else { return };
        if !srtp.open_media(header, sequence, datagram, &mut self.scratch) {
            return frames.handle_forged();
        }
        match packet::without_padding(&self.scratch, header.padding) {
            Some(payload) => {
                let (timestamp, marker) = (header.timestamp, header.marker);
                let payload = payload.to_vec();
                frames.handle_packet(now, sequence, Plain { codec, timestamp, marker, payload });
            }
            None => frames.handle_forged(),
        }
    }

    /// Sound with the packets right before it in front (RFC 2198).
    fn count_redundant(&mut self, header: Header, sequence: u64, datagram: &[u8]) {
        let (Some(srtp), Some(track)) =
            (&mut self.srtp, self.tracks.iter_mut().find(|track| track.ssrc == header.ssrc))
        else {
            return;
        };
        let opened = srtp.open_media(header, sequence, datagram, &mut self.scratch);
        let payload = opened.then(|| packet::without_padding(&self.scratch, header.padding)).flatten();
        let formats = &self.formats;
        let is_sound = |block: &RedBlock<'_>| {
            matches!(formats.get(block.payload_type), Some(Format::Media { video: false, .. }))
        };
        let Some(blocks) = payload.and_then(read_red).filter(|blocks| blocks.iter().all(is_sound)) else {
            self.totals.unknown += 1;
            if let Some(frames) = &mut self.frames {
                frames.handle_forged();
            }
            return;
        };
        // The last is the packet itself.
        for back in 1..blocks.len() as u64 {
            if let Some(number) = sequence.checked_sub(back) {
                track.handle_recovered(number);
            }
        }
    }

    /// A retransmission: its first two bytes, once decrypted, are the number repaired (RFC 4588 §4).
    fn count_repair(&mut self, now: Instant, header: Header, of: u8, datagram: &[u8]) {
        self.totals.repairs += 1;
        let (Some(srtp), Some(track)) =
            (&mut self.srtp, self.tracks.iter_mut().find(|track| track.payload_type == of))
        else {
            self.totals.unknown += 1;
            return;
        };
        let index = match &mut self.repairs {
            Some((ssrc, sequence)) if *ssrc == header.ssrc => {
                sequence.receive(header.sequence, |_| false);
                sequence.unwrap(header.sequence)
            }
            slot => {
                *slot = Some((header.ssrc, Sequence::starting_at(header.sequence)));
                Some(u64::from(header.sequence))
            }
        };
        let opened = index.is_some_and(|index| srtp.open_media(header, index, datagram, &mut self.scratch));
        let payload = opened.then(|| packet::without_padding(&self.scratch, header.padding)).flatten();
        let Some((number, media)) = payload.and_then(|payload| payload.split_first_chunk()) else {
            // Nothing but padding is a probe for bandwidth; what cannot be opened is an accusation.
            if !opened && let Some(frames) = &mut self.frames {
                frames.handle_forged();
            }
            return;
        };
        let repaired = track.handle_repair(u16::from_be_bytes(*number));
        let Some(Format::Media { codec: Some(codec), .. }) = self.formats.get(of) else { return };
        if let (Some(frames), Some(sequence)) = (&mut self.frames, repaired) {
            let (timestamp, marker) = (header.timestamp, header.marker);
            let payload = media.to_vec();
            frames.handle_packet(now, sequence, Plain { codec, timestamp, marker, payload });
        }
    }

    /// One compound of the server's reports.
    pub(super) fn handle_reports(&mut self, now: Instant, datagram: &[u8]) {
        let Some(srtp) = &mut self.srtp else { return };
        if !srtp.open_reports(datagram, &mut self.scratch) {
            self.totals.bad_reports += 1;
            return;
        }
        for (ssrc, ntp) in rtcp::sender_reports(&self.scratch) {
            if let Some(track) = self.tracks.iter_mut().find(|track| track.ssrc == ssrc) {
                track.handle_sender_report(now, ntp);
            }
        }
    }
}
