//! A camera of made-up H.264 and audio: every byte tells its stream, so that a stray one is seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use sluice::id::{LayerId, StreamId};
use sluice::shard::command::Watched;
use sluice::stream::Formats;
use sluice::track::{AudioPacketizer, KeyframeRequest, Recent, RecentLimits, Train, VideoPacketizer};
use sluice_media::{AccessUnit, AudioCodec, AudioFrame, VideoCodec};

use crate::sample::{self, H265_SETS, PPS, SPS, formats};

/// Time of a frame: 25 a second.
pub const FRAME: Duration = Duration::from_millis(40);
/// Frames from one keyframe to the next: two seconds.
pub const GOP: u64 = 50;

/// A stream's source, as far as a shard sees it.
pub struct Camera {
    /// Its stream.
    pub stream: StreamId,
    /// Which layer of that it is; the first has the sound.
    pub layer: u8,
    /// Whether it brings nothing.
    pub away: bool,
    /// Whether it plays again with its next picture.
    pub returns: bool,
    /// Whether trains go to the shard.
    pub sent: bool,
    /// Whether anybody is sent it there.
    pub watched: Watched,
    /// When its next frame is due.
    pub next_frame: Instant,
    /// Of its sound.
    pub audio: AudioCodec,
    /// Viewers that the control plane counts: trains go to the shard while there are any.
    pub viewers: usize,
    /// The control plane's own ring, from which a shard's begins.
    pub recent: Recent,
    /// NAL units of every frame so far, with the parameter sets that go before keyframes.
    pub frames: Vec<Vec<Bytes>>,
    /// Frames, with their sound, that will not reach the shard: its queue was full.
    pub withheld: u32,
    /// Pictures that will be lost on their way from the camera.
    pub lost: u32,
    /// Whether any was lost before the next one.
    after_gap: bool,
    /// Frames from one keyframe to the next.
    pub group: u64,
    /// Whether somebody needs a keyframe sooner.
    pub keyframe: KeyframeRequest,
    /// Frames until the next one.
    until_keyframe: u64,
    video: VideoPacketizer,
    sound: AudioPacketizer,
    started: Instant,
}

impl Camera {
    /// A camera whose first frame is due `now`; its ring holds what `limits` say.
    pub fn new(stream: StreamId, audio: AudioCodec, limits: RecentLimits, now: Instant) -> Camera {
        Camera {
            stream,
            layer: 0,
            away: false,
            returns: false,
            sent: false,
            watched: Watched::default(),
            next_frame: now,
            audio,
            viewers: 0,
            recent: Recent::new(limits),
            frames: Vec::new(),
            withheld: 0,
            lost: 0,
            after_gap: false,
            group: GOP,
            keyframe: KeyframeRequest::default(),
            until_keyframe: 0,
            video: VideoPacketizer::new(VideoCodec::H264, 7_000),
            sound: AudioPacketizer::new(audio, 9_000),
            started: now,
        }
    }

    /// What its stream carries.
    pub fn formats(&self) -> Formats {
        formats(self.audio)
    }

    /// The source comes back with another audio codec.
    pub fn change_audio(&mut self, codec: AudioCodec) {
        self.audio = codec;
        self.sound = AudioPacketizer::new(codec, 9_000);
    }

    /// The source comes back with the same sound.
    pub fn restart_sound(&mut self) {
        self.sound.restart();
    }

    /// The source comes back with another video codec, at a keyframe.
    pub fn change_video(&mut self, codec: VideoCodec) {
        self.video.restart(codec);
        self.until_keyframe = 0;
    }

    /// Of its pictures.
    pub fn video_codec(&self) -> VideoCodec {
        self.video.codec()
    }

    /// The source comes back: it plays with its next picture, a keyframe.
    pub fn come_back(&mut self) {
        (self.returns, self.until_keyframe) = (self.away, 0);
    }

    /// Whether what it made just now does not reach the shard.
    pub fn withholds(&mut self) -> bool {
        let withholds = self.withheld > 0;
        self.withheld -= u32::from(withholds);
        withholds
    }

    /// Whether every byte of a payload behind its headers is of this stream.
    pub fn made(&self, payload: &[u8]) -> bool {
        payload.iter().all(|byte| byte & 1 == self.mark())
    }

    fn mark(&self) -> u8 {
        if (self.stream.0 + u32::from(self.layer)).is_multiple_of(2) { 0 } else { 1 }
    }

    /// Its layer.
    pub fn layer_id(&self) -> LayerId {
        self.stream.layer(self.layer)
    }

    /// The frame that is due, and of the first layer two audio packets of 20 ms.
    pub fn poll(&mut self, random: &mut StdRng) -> Vec<Arc<Train>> {
        let (now, number) = (self.next_frame, self.frames.len() as u64);
        self.next_frame += FRAME;
        let keyframe = self.until_keyframe == 0;
        self.until_keyframe = if keyframe { self.group } else { self.until_keyframe } - 1;
        let nals = if self.video.codec() == VideoCodec::H265 {
            let slice = sample::h265_slice(keyframe, self.payload(5_000, random));
            let sets = H265_SETS.into_iter().filter(|_| keyframe).map(Bytes::from_static);
            sets.chain([slice]).collect()
        } else if keyframe {
            let slice = self.slice(true, random.random_range(20_000..30_000), random);
            vec![Bytes::from_static(SPS), Bytes::from_static(PPS), slice]
        } else {
            // Two slices a picture, one of a packet, one of several.
            let size = random.random_range(1_500..7_000);
            vec![self.slice(false, 300, random), self.slice(false, size, random)]
        };
        self.frames.push(nals.clone());
        let timestamp = ((now - self.started).as_micros() * 9 / 100) as i64;
        let mut trains = Vec::new();
        if self.lost > 0 {
            (self.lost, self.after_gap) = (self.lost - 1, true);
        } else {
            let after_gap = std::mem::take(&mut self.after_gap);
            let unit = AccessUnit { nals, timestamp, received: now, after_gap };
            trains = self.video.packetize(unit).expect("a sound picture");
        }
        trains.iter().for_each(|train| assert!(self.recent.push(train.clone())));
        for part in (0..2).filter(|_| self.layer == 0) {
            let rate = i64::from(self.audio.clock_rate());
            let timestamp = (number as i64 * 2 + part) * rate / 50;
            let mut payload = self.payload(120, random);
            // Opus of 20 ms: one frame, or two of 10 ms.
            payload[0] = [0xf8, 0xf1][usize::from(self.mark())];
            let frame = AudioFrame { payload: payload.into(), timestamp, received: now };
            trains.extend(self.sound.packetize(frame).expect("a sound packet"));
        }
        trains
    }

    fn slice(&self, keyframe: bool, size: usize, random: &mut StdRng) -> Bytes {
        sample::slice(keyframe, self.payload(size, random))
    }

    /// Bytes that are never zero, so that no start code appears, and carry the stream's mark.
    fn payload(&self, size: usize, random: &mut StdRng) -> Vec<u8> {
        let mut bytes = vec![0; size];
        random.fill_bytes(&mut bytes);
        bytes.iter_mut().for_each(|byte| *byte = (*byte & 0xfe).max(2) | self.mark());
        bytes
    }
}
