use proptest::prelude::*;

use super::*;
use crate::track::SourceTime;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[expect(clippy::disallowed_methods, reason = "any instant serves")]
fn start() -> Instant {
    Instant::now() + Duration::from_secs(1_000)
}

/// A moment of a camera whose clock says `clock` seconds at the start, reported `at` milliseconds behind it and captured
/// `delay` milliseconds late by its least delay.
fn moment(start: Instant, clock: f64, at: u64, delay: u64) -> Option<Moment> {
    let time = SourceTime(((clock + at as f64 / 1e3) * 4_294_967_296.0) as u64);
    Some(Moment { captured: start + ms(at) + ms(delay), time })
}

fn near(a: Duration, b: Duration) -> bool {
    a.abs_diff(b) < Duration::from_micros(10)
}

#[test]
fn the_track_that_takes_longer_is_taken_for_earlier() {
    let start = start();
    for (video, audio) in [(180, 30), (20, 210), (0, 0)] {
        let mut sync = LipSync::default();
        let alignment = sync
            .judge(moment(start, 3.9e9, 5_000, video), moment(start, 3.9e9, 2_700, audio))
            .expect("both are known");
        assert!(near(alignment.video, ms(video.saturating_sub(audio))), "{alignment:?}");
        assert!(near(alignment.audio, ms(audio.saturating_sub(video))), "{alignment:?}");
        assert_eq!(sync.doubt(), None);
    }
}

#[test]
fn nothing_is_said_before_both_are_known() {
    let mut sync = LipSync::default();
    assert_eq!(sync.judge(moment(start(), 3.9e9, 0, 0), None), None);
    assert_eq!(sync.judge(None, moment(start(), 3.9e9, 0, 0)), None);
    assert!(sync.is_due(start()) && !sync.is_due(start()));
}

#[test]
fn clocks_of_their_own_are_not_believed_and_named() {
    let (start, mut sync) = (start(), LipSync::default());
    for at in [0, 5_000, 10_000] {
        let alignment = sync.judge(moment(start, 3.9e9, at, 100), moment(start, 3.9e9 - 7_200.0, at, 0));
        assert_eq!(alignment, Some(Alignment::default()));
    }
    let doubt = sync.doubt().expect("named").to_string();
    assert!(doubt.contains("are 7199 s apart") || doubt.contains("are 7200 s apart"), "{doubt}");
}

#[test]
fn a_clock_that_is_set_while_it_plays_changes_nothing() {
    let (start, mut sync) = (start(), LipSync::default());
    let (mut clocks, mut moments) = ([1_000.0; 2], [None; 2]);
    for index in 0..20_usize {
        // Sound and pictures report by turns; the clock is set between two reports.
        let track = index % 2;
        if index >= 9 {
            clocks[track] = 3.9e9;
        }
        moments[track] = moment(start, clocks[track], index as u64 * 2_500, [150, 40][track]);
        let [video, audio] = moments;
        if let Some(alignment) = sync.judge(video, audio) {
            assert!(near(alignment.video, ms(110)) && sync.doubt().is_none(), "{index}: {alignment:?}");
        }
    }
}

#[test]
fn reports_that_contradict_each_other_are_given_up() {
    let (start, mut sync) = (start(), LipSync::default());
    let lies = [0, 900, 200, 1_500, 700, 1_900, 1_200, 100, 1_700, 500];
    let mut doubted = 0;
    for (index, lie) in (0..).zip(lies) {
        let at = index * 5_000;
        let alignment = sync.judge(moment(start, 3.9e9, at, lie), moment(start, 3.9e9, at, 0));
        if sync.doubt() == Some(Doubt::Unsteady) {
            assert_eq!(alignment, Some(Alignment::default()));
            doubted += 1;
        }
    }
    assert!(doubted >= 6, "{doubted}");
}

#[test]
fn much_at_once_has_to_be_said_again() {
    let (start, mut sync) = (start(), LipSync::default());
    let judge = |sync: &mut LipSync, at| {
        sync.judge(moment(start, 3.9e9, at, 1_400), moment(start, 3.9e9, at, 0)).expect("both are known")
    };
    assert_eq!(judge(&mut sync, 0), Alignment::default());
    assert!(near(judge(&mut sync, 5_000).video, ms(1_400)));
}

#[test]
fn reports_without_a_time_or_far_from_their_track_are_named_after_some() {
    for (reported, words) in [
        (Reported::Untimed, "sender reports have no time, so the two are brought together by arrival: set"),
        (Reported::Astray, "sender reports are more than 5 s from those of its packets, so the two are"),
    ] {
        let mut sync = LipSync::default();
        for _ in 0..3 {
            sync.note(reported);
        }
        assert_eq!(sync.doubt(), None);
        sync.note(reported);
        let doubt = sync.doubt().expect("named").to_string();
        assert!(doubt.contains(words), "{doubt}");
    }
}

proptest! {
    /// Whatever a camera says, no track is moved by more than is believed, and never both.
    #[test]
    fn lies_are_bounded(said in prop::collection::vec((any::<u64>(), any::<u64>(), 0..5_000_u64, 0..5_000_u64), 1..40)) {
        let (start, mut sync) = (start(), LipSync::default());
        for (video, audio, late, later) in said {
            let moment = |time, at| Some(Moment { captured: start + ms(at), time: SourceTime(time) });
            let Alignment { video, audio } = sync.judge(moment(video, late), moment(audio, later)).expect("both");
            prop_assert!(video <= MOST && audio <= MOST && (video.is_zero() || audio.is_zero()));
        }
    }
}
