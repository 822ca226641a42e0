use sluice_config::{OnDemand, Rtsp, Source};

use sluice_media::{AudioCodec, VideoCodec};

use super::*;
use crate::stream::{AudioFormat, Origin, Registry, StreamCounters, VideoFormat};
use crate::track::RecentLimits;

const SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x03, 0xc5, 0x68, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c,
    0x03, 0xc5, 0x8b, 0x92,
];
const PPS: &[u8] = &[0x68, 0xcb, 0x8c, 0xb2];
/// Heads of slices: ue 0, ue 7 or 0, ue 0.
const IDR: &[u8] = &[0x65, 0b1000_1000, 0x80, 1, 2, 3];
const P: &[u8] = &[0x41, 0b1110_0000, 0x80, 1, 2, 3];

/// A feed of a stream that nobody watches, and the time of the next unit.
struct Rig {
    stream: Arc<Stream>,
    feed: Ingest,
    now: Instant,
    ticks: i64,
}

impl Rig {
    /// Packets made of both tracks.
    fn packets(&self) -> u64 {
        let StreamCounters { video, audio, .. } = &self.stream.high().counters;
        video.packets.get() + audio.packets.get()
    }

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
    fn new(video: bool, audio: bool) -> Rig {
        let limits = RecentLimits { bytes: 1 << 20, history: Duration::ZERO };
        let origin = Origin { source: Source::Demo, rtsp: Rtsp::default(), on_demand: OnDemand::default() };
        let (stream, _) = Registry::new(&[], limits).add("gate", origin).expect("it is the first");
        let feed = Ingest::new(stream.clone(), stream.high().clone(), (1, 1));
        let mut rig = Rig { stream, feed, now: Instant::now() + Duration::from_secs(100), ticks: 0 };
        rig.begin(video, audio);
        rig
    }

    fn begin(&mut self, video: bool, audio: bool) {
        self.feed.state(SourceState::Connecting);
        let video = video.then_some(VideoFormat {
            codec: VideoCodec::H264,
            profile_level_id: None,
            size: None,
            frame_rate: None,
        });
        let audio = audio.then_some(AudioFormat::new(AudioCodec::Pcmu, 1));
        self.feed.begin(Formats { video, audio, ..Formats::default() }, &[]);
    }

    /// A picture 40 ms after the last.
    fn picture(&mut self, nals: &[&[u8]]) {
        self.now += Duration::from_millis(40);
        self.ticks += 3_600;
        let nals = nals.iter().map(|nal| Bytes::copy_from_slice(nal)).collect();
        let unit = AccessUnit { nals, timestamp: self.ticks, received: self.now, after_gap: false };
        self.feed.video(unit);
    }

    fn sound(&mut self) {
        let payload = Bytes::from_static(&[0xff; 160]);
        self.feed.audio(AudioFrame { payload, timestamp: self.ticks / 11, received: self.now });
    }

    fn starting(&self) -> String {
        match self.stream.status().state {
            SourceState::Starting { why } => why,
            state => panic!("{state:?}"),
        }
    }

    fn plays(&self) -> bool {
        let playing = self.stream.status().state == SourceState::Playing;
        assert_eq!(playing, self.stream.status().playable().is_some());
        playing
    }
}

#[test]
fn a_camera_of_sound_alone_awaits_no_picture() {
    let mut rig = Rig::new(false, true);
    assert_eq!(rig.starting(), "the first sound is awaited");
    rig.sound();
    let status = rig.stream.status();
    assert_eq!((status.state, status.failure), (SourceState::Playing, None));
    assert_eq!(status.formats.expect("formats").notes, [""; 0]);
}

#[test]
fn a_stream_plays_with_its_first_keyframe_and_not_before() {
    let mut rig = Rig::new(true, true);
    assert_eq!(rig.starting(), "the first picture is awaited");
    rig.picture(&[P]);
    rig.sound();
    assert!(rig.starting().starts_with("no keyframe for 0 s"));
    assert_eq!(rig.packets(), 0, "nobody could use it");
    rig.picture(&[SPS, PPS, IDR]);
    assert!(rig.plays());
    assert!(rig.stream.has_picture(), "who comes because it plays finds the keyframe");
    let counters = &rig.stream.high().counters;
    assert_eq!((counters.keyframes.get(), counters.starts.get()), (1, 1));
    let video = rig.stream.status().formats.and_then(|formats| formats.video).expect("video");
    assert_eq!(video.profile_level_id, Some([0x42, 0xc0, 0x1e]));
    let before = rig.packets();
    rig.sound();
    assert!(rig.packets() > before, "sound goes on, too");
    // Another session begins as the first did.
    rig.begin(true, true);
    assert!(!rig.plays());
    rig.picture(&[IDR]);
    assert!(rig.plays(), "by the parameter sets of before");
    assert_eq!(rig.stream.high().counters.starts.get(), 2);
}

#[test]
fn what_was_put_right_of_a_source_is_counted_for_its_stream() {
    let mut rig = Rig::new(true, true);
    rig.picture(&[SPS, PPS, IDR]);
    rig.picture(&[P]);
    let counts = |rig: &Rig| {
        let counters = &rig.stream.high().counters;
        (counters.ingress_jumps.get(), counters.ingress_discarded_nals.get())
    };
    assert_eq!(counts(&rig), (0, 0));
    rig.picture(&[P, &[], &[0x80 | P[0], 0]]);
    assert_eq!(counts(&rig), (0, 2), "an empty NAL unit, and one with the forbidden bit");
    rig.ticks += 90_000 * 3_600;
    rig.picture(&[P]);
    assert_eq!(counts(&rig), (1, 2), "pictures an hour ahead");
    rig.now += Duration::from_millis(40);
    rig.sound();
    rig.ticks += 90_000 * 3_600;
    rig.sound();
    assert_eq!(counts(&rig), (2, 2), "sound an hour ahead");
    // Another session may begin anywhere.
    rig.ticks = 0;
    rig.begin(true, true);
    rig.picture(&[SPS, PPS, IDR]);
    assert_eq!(counts(&rig), (2, 2));
}

#[test]
fn a_keyframe_that_is_refused_is_the_reason_and_nothing_plays() {
    let mut rig = Rig::new(true, false);
    rig.picture(&[IDR]);
    for _ in 0..300 {
        rig.picture(&[P]);
    }
    let why = rig.starting();
    assert!(why.starts_with("its keyframes cannot be forwarded: no SPS/PPS"), "{why}");
    assert_eq!(rig.stream.status().failure, Some(why));
    let counters = &rig.stream.high().counters;
    assert_eq!((counters.ingress_invalid.get(), counters.keyframes.get()), (1, 0));
    assert_eq!(rig.packets(), 0);
    rig.picture(&[SPS, PPS, IDR]);
    assert!(rig.plays());
    assert_eq!(rig.stream.status().failure, None);
}

#[test]
fn pictures_that_nobody_can_begin_with_are_said_with_the_time() {
    let mut rig = Rig::new(true, true);
    for _ in 0..=300 {
        rig.picture(&[SPS, PPS, P]);
        rig.sound();
    }
    let why = rig.starting();
    assert!(why.starts_with("no keyframe for 12 s") && why.contains("intra refresh"), "{why}");
    assert!(!rig.stream.has_picture());
}

#[test]
fn sound_alone_plays_with_its_first_packet() {
    let mut rig = Rig::new(false, true);
    assert!(!rig.plays());
    rig.sound();
    assert!(rig.plays());
    assert_eq!((rig.stream.high().counters.starts.get(), rig.stream.high().counters.keyframes.get()), (1, 0));
}

#[test]
fn timestamps_that_do_not_fit_get_a_note_once_that_is_sure() {
    let mut rig = Rig::new(true, false);
    let notes = |rig: &Rig| rig.stream.status().formats.expect("it plays").notes;
    rig.picture(&[SPS, PPS, IDR]);
    for _ in 0..100 {
        rig.picture(&[P]);
    }
    assert_eq!(notes(&rig), [""; 0]);
    for _ in 0..100 {
        rig.picture(&[P]);
        rig.ticks -= 3_600;
    }
    let notes = notes(&rig);
    assert!(notes.len() == 1 && notes[0].contains("time of arrival"), "{notes:?}");
}

/// What a feed logged, by the words that it holds.
fn logged(run: impl FnOnce()) -> Vec<String> {
    use std::io::Write;

    #[derive(Clone, Default)]
    struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(log, run);
    let text = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_flood_of_tiny_pictures_is_left_out_counted_and_told_once() {
    let lines = logged(|| {
        let mut rig = Rig::new(true, true);
        rig.picture(&[SPS, PPS, IDR]);
        let before = rig.packets();
        // 20,000 pictures and as many sounds in 10 s.
        for _ in 0..20_000 {
            rig.now += Duration::from_micros(500);
            rig.ticks += 45;
            let nals = vec![Bytes::from_static(P)];
            rig.feed.video(AccessUnit { nals, timestamp: rig.ticks, received: rig.now, after_gap: false });
            rig.sound();
        }
        let counters = &rig.stream.high().counters;
        let made = rig.packets() - before;
        let (most, least) = (11 * (240 + 1_000) + 3_200, 10 * (240 + 1_000));
        assert!((least..most).contains(&made), "{made}");
        assert_eq!(made + counters.ingress_excess.get(), 40_000);
        let notes = rig.stream.status().formats.expect("it plays").notes;
        assert!(notes.iter().any(|note| note.contains("pictures a second")), "{notes:?}");
        assert!(notes.iter().any(|note| note.contains("sound packets a second")), "{notes:?}");
        // The decoder of whoever joins would miss a reference.
        assert!(!rig.stream.has_start(), "what is left out is a gap");
        rig.now += Duration::from_secs(5);
        rig.picture(&[SPS, PPS, IDR]);
        assert!(rig.stream.has_start());
    });
    for words in ["pictures a second", "sound packets a second"] {
        assert_eq!(lines.iter().filter(|line| line.contains(words)).count(), 1, "{lines:#?}");
    }
}

#[test]
fn notes_that_come_and_go_are_logged_once_in_a_while() {
    let lines = logged(|| {
        let mut rig = Rig::new(true, false);
        rig.picture(&[SPS, PPS, IDR]);
        // For ten minutes every second keyframe names a PPS that there is not, and profiles change in between.
        for index in 0..15_000_u32 {
            let profile = [66, 1, 2][index as usize % 3];
            let sps = [&SPS[..1], &[profile], &SPS[2..]].concat();
            match index % 4 {
                0 => rig.picture(&[&sps, PPS, IDR]),
                2 => rig.picture(&[&[0x65, 0x88, 0x10, 0x80, 0x10, 0x20]]),
                _ => rig.picture(&[P]),
            }
        }
    });
    for words in ["keyframes cannot be forwarded", "profile number 1:", "profile number 2:"] {
        let count = lines.iter().filter(|line| line.contains(words)).count();
        assert!((2..=10).contains(&count), "{words}: {count}");
    }
    assert!(lines.len() < 60, "{}", lines.len());
}

#[test]
fn short_sessions_are_told_once_in_a_while_and_long_ones_always() {
    let count = |seconds: u32| {
        let lines = logged(|| {
            let mut rig = Rig::new(true, false);
            let mut left = 120 * 25_i32;
            while left > 0 {
                rig.begin(true, false);
                rig.picture(&[SPS, PPS, IDR]);
                for _ in 0..seconds * 25 {
                    rig.picture(&[P]);
                }
                left -= 1 + seconds as i32 * 25;
            }
        });
        lines.iter().filter(|line| line.contains("plays")).count()
    };
    assert!((2..=3).contains(&count(0)), "{}", count(0));
    assert!((18..=22).contains(&count(6)), "{}", count(6));
}

/// A camera whose pictures take 200 ms longer to be made than its sound, and which reports both each five seconds, sound by a
/// clock that is `off`. By how much pictures are taken for earlier than they came, each of them; the notes at the end.
fn reporting(rig: &mut Rig, pictures: u64, off: u64) -> (Vec<Duration>, Vec<String>) {
    let (mut shifts, mut last) = (Vec::new(), None);
    for index in 0..pictures {
        rig.picture(&[SPS, PPS, IDR]);
        let sound_ticks = (rig.ticks + 18_000) * 4 / 45;
        let payload = Bytes::from_static(&[0xff; 320]);
        rig.feed.audio(AudioFrame { payload, timestamp: sound_ticks, received: rig.now });
        if index % 125 == 10 {
            let ntp = |ticks: i64| (3_900_000_000 << 32) + ((ticks as u64) << 32) / 90_000;
            let report = |ntp, timestamp| SourceReport { ntp, timestamp, received: rig.now };
            rig.feed.reported(Kind::Video, report(ntp(rig.ticks), rig.ticks));
            rig.feed.reported(Kind::Audio, report(ntp(rig.ticks + 18_000) + (off << 32), sound_ticks));
        }
        let captured = rig.stream.newest_keyframe(rig.stream.high().id)[0].captured;
        assert!(last.is_none_or(|last| captured > last), "capture times go on");
        last = Some(captured);
        shifts.push(rig.now - captured);
    }
    (shifts, rig.stream.status().formats.expect("formats").notes)
}

#[test]
fn sound_and_pictures_come_together_by_what_the_camera_says() {
    let mut rig = Rig::new(true, true);
    let (shifts, notes) = reporting(&mut rig, 300, 0);
    assert!(shifts[..10].iter().all(Duration::is_zero), "nothing is known yet: {shifts:?}");
    let expected = Duration::from_millis(200);
    assert!(
        shifts[25..].iter().all(|shift| shift.abs_diff(expected) < Duration::from_millis(2)),
        "within half a second, and from then on: {shifts:?}"
    );
    assert_eq!(notes, [""; 0]);
    // Another session has to say it again.
    rig.begin(true, true);
    let (shifts, _) = reporting(&mut rig, 60, 0);
    assert!(shifts[0].is_zero() && shifts[59].abs_diff(expected) < Duration::from_millis(2), "{shifts:?}");
}

#[test]
fn a_camera_whose_reports_lie_plays_as_before_and_is_named() {
    let mut rig = Rig::new(true, true);
    let (shifts, notes) = reporting(&mut rig, 300, 7_200);
    assert!(shifts.iter().all(Duration::is_zero), "{shifts:?}");
    assert!(
        notes.iter().any(|note| note.contains("sender reports of sound and pictures are 7200 s apart")),
        "{notes:?}"
    );
}
