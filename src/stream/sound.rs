//! The sound of a stream: one track for each codec, whichever layer's source it comes from.
//!
//! Owns that it comes from one of them at a time, and that the track goes on where another takes over: under the next
//! number, at the time that it is.

use std::sync::{Arc, Mutex, MutexGuard};

use sluice_media::{AudioCodec, AudioFrame};

use super::{Layer, Stream};
use crate::contain::lock;
use crate::track::{AudioPacketizer, PacketizeError};

/// A track of sound. What is packetized with it is published before the next is: its numbers go out in their order.
pub(super) type AudioTrack = Arc<Mutex<SoundTrack>>;

/// The tracks that a stream ever had, so that a codec that comes back goes on.
#[derive(Debug, Default)]
pub(super) struct Sounds(Mutex<Vec<AudioTrack>>);

/// One track.
#[derive(Debug)]
pub(super) struct SoundTrack {
    pub(super) packetizer: AudioPacketizer,
    /// The number of the layer whose source it comes from now.
    layer: u8,
    /// Of the jumps that were found, how many some layer has counted.
    jumps: u64,
}

impl Sounds {
    /// The track of `codec`; one that begins does so at the RTP timestamp `first`, for the layer of that number.
    pub(super) fn track(&self, codec: AudioCodec, first: u32, layer: u8) -> AudioTrack {
        let mut tracks = lock(&self.0);
        let found = tracks.iter().find(|track| lock(track).packetizer.codec() == codec).cloned();
        found.unwrap_or_else(|| {
            let packetizer = AudioPacketizer::new(codec, first);
            let track = Arc::new(Mutex::new(SoundTrack { packetizer, layer, jumps: 0 }));
            tracks.push(track.clone());
            track
        })
    }

    /// What comes next of that layer has nothing to do with what came before.
    pub(super) fn restart(&self, layer: u8) {
        for track in lock(&self.0).iter() {
            let mut track = lock(track);
            if track.layer == layer {
                track.packetizer.restart();
            }
        }
    }
}

impl SoundTrack {
    /// The track if it comes from that layer now.
    pub(super) fn of(track: &AudioTrack, layer: u8) -> Option<MutexGuard<'_, SoundTrack>> {
        Some(lock(track)).filter(|track| track.layer == layer)
    }

    /// Jumps of the source's timestamps that nobody has counted yet.
    pub(super) fn new_jumps(&mut self) -> u64 {
        let jumps = self.packetizer.jumps();
        jumps - std::mem::replace(&mut self.jumps, jumps)
    }
}

/// Packetizes a frame of that layer's source for `track` and sends it to the stream's viewers; nothing while they hear
/// another layer.
///
/// # Errors
///
/// The frame's.
pub(super) fn publish(
    stream: &Stream,
    layer: &Layer,
    track: &AudioTrack,
    frame: AudioFrame,
) -> Result<(), PacketizeError> {
    let mut track = lock(track);
    if !stream.hears(layer.id.number, track.packetizer.codec()) {
        return Ok(());
    }
    if std::mem::replace(&mut track.layer, layer.id.number) != layer.id.number {
        track.packetizer.restart();
    }
    let trains = track.packetizer.packetize(frame)?;
    for train in &trains {
        // Its writer is a source's thread today and one of the pool tomorrow.
        layer.counters.audio.bytes.add_shared(train.bytes() as u64);
        layer.counters.audio.packets.add_shared(train.packets.len() as u64);
    }
    stream.publish(layer.id, trains);
    Ok(())
}
