use sluice_media::{AudioCodec, VideoCodec};

use super::*;
use crate::stream::{AudioFormat, VideoFormat};

/// 320x240, Main, with pictures that may be shown in another order than they come.
pub(in crate::probe) const SPS: &[u8] = b"\x67\x4d\x00\x1e\xf6\x0a\x0f\xc8";
const PPS: &[u8] = b"\x68\xcb\x8c\xb2";
const IDR: &[u8] = b"\x65\x88\x84";
const P: &[u8] = b"\x41\x9a\x02";
const B: &[u8] = b"\x01\x9e\x02";

/// A camera of 25 pictures a second in virtual time.
pub(in crate::probe) struct Camera {
    pub(in crate::probe) measure: Measure,
    start: Instant,
    /// Pictures so far.
    pub(in crate::probe) pictures: u32,
    /// Of what its clock counts to what goes by.
    pub(in crate::probe) clock: f64,
}

impl Camera {
    pub(in crate::probe) fn new(audio: bool) -> Camera {
        let mut measure = Measure::default();
        let video =
            VideoFormat { codec: VideoCodec::H264, profile_level_id: None, size: None, frame_rate: None };
        let audio = audio.then_some(AudioFormat::new(AudioCodec::Pcma, 1));
        measure.begin(Formats { video: Some(video), audio, ..Formats::default() }, &[]);
        Camera { measure, start: epoch(), pictures: 0, clock: 1.0 }
    }

    fn at(&self) -> Duration {
        Duration::from_millis(40) * self.pictures
    }

    /// The next picture: `nals`, the last of them made 5,000 bytes long.
    fn picture(&mut self, nals: &[&[u8]]) {
        let mut nals: Vec<Vec<u8>> = nals.iter().map(|nal| nal.to_vec()).collect();
        nals.last_mut().expect("a slice").resize(5_000, 1);
        self.measure.video(AccessUnit {
            nals: nals.into_iter().map(Bytes::from).collect(),
            timestamp: (self.at().as_secs_f64() * 90_000.0 * self.clock) as i64,
            received: self.start + self.at(),
            after_gap: false,
        });
        self.pictures += 1;
    }

    pub(in crate::probe) fn keyframe(&mut self) {
        self.picture(&[SPS, PPS, IDR]);
    }

    /// What it is found to be after some seconds without a picture.
    fn silent_for(&self, seconds: u64) -> Option<Duration> {
        let newest = self.start + Duration::from_millis(40) * (self.pictures - 1);
        self.measure.silence(newest + Duration::from_secs(seconds))
    }

    /// No picture comes for some time.
    fn pause(&mut self, seconds: u32) {
        self.pictures += 25 * seconds;
    }

    pub(in crate::probe) fn keyframe_without_sets(&mut self) {
        self.picture(&[IDR]);
    }

    pub(in crate::probe) fn others(&mut self, count: u32) {
        (0..count).for_each(|_| self.picture(&[P]));
    }

    pub(in crate::probe) fn b_picture(&mut self) {
        self.picture(&[B]);
    }

    pub(in crate::probe) fn sound(&mut self) {
        let payload = Bytes::from(vec![0; 320]);
        self.measure.audio(&AudioFrame { payload, timestamp: 0, received: self.start + self.at() });
    }
}

#[expect(clippy::disallowed_methods, reason = "any instant serves")]
fn epoch() -> Instant {
    Instant::now()
}

#[track_caller]
fn near(value: Option<f64>, expected: f64) {
    let value = value.expect("a figure");
    assert!((value - expected).abs() < expected / 100.0, "{value} is not {expected}");
}

#[test]
fn silence_is_longer_than_the_cameras_own_pauses() {
    let mut camera = Camera::new(false);
    assert_eq!(camera.measure.silence(camera.start + Duration::from_secs(60)), None, "nothing came at all");
    camera.keyframe();
    camera.others(20);
    assert_eq!(camera.silent_for(2), None);
    assert_eq!(camera.silent_for(3), Some(Duration::from_secs(3)));
    // A picture each two seconds is the rule here.
    camera.pause(2);
    camera.others(1);
    assert_eq!(camera.silent_for(6), None);
    assert_eq!(camera.silent_for(7), Some(Duration::from_secs(7)));
}

#[test]
fn a_good_camera_is_known_after_three_keyframes_and_four_seconds() {
    let mut camera = Camera::new(false);
    for _ in 0..2 {
        camera.keyframe();
        camera.others(49);
    }
    assert!(!camera.measure.is_enough(), "one distance tells no rule");
    camera.keyframe();
    assert!(camera.measure.is_enough());
    near(camera.measure.rate(), 25.0);
    near(camera.measure.bits_per_second(), 25.0 * 5_000.0 * 8.0);
    let interval = camera.measure.interval().expect("three keyframes");
    near(Some(interval.mean), 2.0);
    assert_eq!((interval.shortest, interval.longest), (2.0, 2.0));
    let facts = camera.measure.facts();
    assert_eq!((facts.size, facts.b_pictures), (Some((320, 240)), false));
}

#[test]
fn many_keyframes_are_not_enough_without_time_nor_without_the_sound() {
    let mut camera = Camera::new(true);
    (0..50).for_each(|_| camera.keyframe());
    assert!(!camera.measure.is_enough(), "2 s");
    (0..60).for_each(|_| camera.keyframe());
    assert!(!camera.measure.is_enough(), "no sound");
    camera.sound();
    camera.keyframe();
    assert!(camera.measure.is_enough());
}

#[test]
fn a_second_keyframe_that_never_comes_is_not_guessed() {
    let mut camera = Camera::new(false);
    camera.keyframe();
    camera.others(100);
    assert_eq!(camera.measure.interval(), None);
    near(camera.measure.since_keyframe(), 4.0);
    near(camera.measure.rate(), 25.0);
    assert!(!camera.measure.is_enough());
}

#[test]
fn a_keyframe_that_nobody_can_show_is_none() {
    let mut camera = Camera::new(false);
    camera.keyframe_without_sets();
    camera.others(30);
    assert_eq!((camera.measure.keyframes(), camera.measure.since_keyframe()), (0, None));
    let trouble = camera.measure.watch().trouble().expect("trouble");
    assert!(trouble.stops && trouble.what.contains("no SPS/PPS"), "{trouble}");
}

#[test]
fn a_clock_that_does_not_pass_as_time_does_is_not_believed() {
    for clock in [0.0, 0.1, 5.0, -1.0] {
        let mut camera = Camera { clock, ..Camera::new(false) };
        camera.keyframe();
        camera.others(24);
        camera.keyframe();
        camera.others(24);
        near(camera.measure.rate(), 25.0);
        near(camera.measure.interval().map(|interval| interval.mean), 1.0);
    }
}

#[test]
fn a_restart_makes_the_time_ours() {
    let mut camera = Camera::new(false);
    camera.keyframe();
    camera.others(49);
    camera.measure.restarted();
    camera.clock = 0.9;
    camera.keyframe();
    camera.others(49);
    near(camera.measure.interval().map(|interval| interval.mean), 2.0);
    near(camera.measure.rate(), 25.0);
}

#[test]
fn b_pictures_are_seen_and_too_short_a_time_gives_no_rate() {
    let mut camera = Camera::new(false);
    camera.keyframe();
    camera.b_picture();
    assert!(camera.measure.facts().b_pictures);
    assert_eq!((camera.measure.rate(), camera.measure.bits_per_second()), (None, None));
    assert_eq!(Measure::default().interval(), None);
}
