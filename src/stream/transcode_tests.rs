use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_config::{OnDemand, Rtsp, Source};
use sluice_media::aac::{AAC_SAMPLES, AacConfig};

use super::*;
use crate::stream::{AudioFormat, Formats, Ingest, MadeOf, Origin, Registry, Sink as _, SourceState};
use crate::track::RecentLimits;

/// Two seconds, mono at 16 kHz.
const CLIP: &[u8] = include_bytes!("../../tests/data/bursts-16000-1.aac");

/// The units of ADTS frames.
fn units(mut adts: &[u8]) -> Vec<Bytes> {
    let mut units = Vec::new();
    while let [_, _, _, fourth, fifth, sixth, _, ..] = *adts {
        let length = usize::from(fourth & 3) << 11 | usize::from(fifth) << 3 | usize::from(sixth >> 5);
        units.push(Bytes::copy_from_slice(&adts[7..length]));
        adts = &adts[length..];
    }
    units
}

struct Rig {
    stream: Arc<Stream>,
    feed: Ingest,
    now: Instant,
    sent: i64,
}

impl Rig {
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
    fn new() -> Rig {
        let limits = RecentLimits { bytes: 1 << 20, history: Duration::ZERO };
        let origin = Origin { source: Source::Demo, rtsp: Rtsp::default(), on_demand: OnDemand::default() };
        let (stream, _) = Registry::new(&[], limits).add("gate", origin).expect("it is the first");
        let feed = Ingest::new(stream.clone(), stream.high().clone(), (1, 1));
        let mut rig = Rig { stream, feed, now: Instant::now() + Duration::from_secs(100), sent: 0 };
        rig.begin();
        rig
    }

    /// A session of a camera with sound alone.
    fn begin(&mut self) {
        let sound = Foreign::Aac(AacConfig { sample_rate: 16_000, channels: 1 });
        let made_of = Some(MadeOf { sound, clock_rate: 16_000 });
        let audio = Some(AudioFormat { made_of, ..AudioFormat::new(AudioCodec::Opus, 2) });
        self.feed.begin(Formats { audio, ..Formats::default() }, &[]);
    }

    fn watched_by(&self, viewers: usize) {
        self.stream.viewers.store(viewers, Ordering::Relaxed);
    }

    fn send(&mut self, unit: Bytes) {
        self.now += Duration::from_millis(64);
        let timestamp = self.sent * i64::from(AAC_SAMPLES);
        self.sent += 1;
        self.feed.audio(AudioFrame { payload: unit, timestamp, received: self.now });
    }

    fn packets(&self) -> u64 {
        self.stream.high().counters.audio.packets.get()
    }

    #[expect(clippy::disallowed_methods, reason = "the pool's threads run in real time")]
    fn wait_for(&self, what: &str, check: impl Fn(&Rig) -> bool) {
        let began = Instant::now();
        while !check(self) {
            assert!(began.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn sound_becomes_opus_while_somebody_watches_and_only_then() {
    let mut rig = Rig::new();
    let units = units(CLIP);
    for unit in &units[..10] {
        rig.send(unit.clone());
    }
    assert_eq!(rig.stream.status().state, SourceState::Playing, "who comes now hears something");
    assert_eq!((rig.packets(), rig.stream.high().counters.sound_transcoded.get()), (0, 0));

    rig.watched_by(1);
    for (sent, unit) in (1..).zip(&units[10..20]) {
        rig.send(unit.clone());
        rig.wait_for("a unit to be turned", |rig| rig.stream.high().counters.sound_transcoded.get() == sent);
    }
    // 640 ms of sound, in packets of 20 ms.
    rig.wait_for("packets", |rig| rig.packets() == 32);

    rig.watched_by(0);
    rig.send(units[20].clone());
    rig.watched_by(1);
    rig.begin();
    rig.send(units[21].clone());
    rig.wait_for("packets of the next session", |rig| rig.packets() > 32);
    assert_eq!(rig.stream.high().counters.sound_discarded.get(), 0);
}

#[test]
fn units_that_are_none_are_counted_and_those_behind_are_heard() {
    let mut rig = Rig::new();
    rig.watched_by(1);
    let units = units(CLIP);
    let loud = &units[9];
    rig.send(loud.slice(..loud.len() / 2));
    rig.wait_for("it to be counted", |rig| rig.stream.high().counters.sound_discarded.get() == 1);
    rig.send(loud.clone());
    rig.wait_for("packets", |rig| rig.packets() >= 3);
}

#[test]
fn what_cannot_be_turned_in_time_is_dropped_and_counted() {
    let mut rig = Rig::new();
    rig.watched_by(1);
    let units = units(CLIP);
    // Far more at once than may wait.
    for unit in units.iter().cycle().take(1_000) {
        rig.send(unit.clone());
    }
    let done = |rig: &Rig| {
        let counters = &rig.stream.high().counters;
        counters.sound_discarded.get() + counters.sound_transcoded.get()
    };
    rig.wait_for("all of them", |rig| done(rig) == 1_000);
    assert!(
        rig.stream.high().counters.sound_discarded.get() > 0,
        "a thousand were turned while they were sent"
    );
}
