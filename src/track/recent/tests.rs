use std::time::Instant;

use proptest::prelude::*;
use sluice_media::VideoCodec;

use super::*;

const LIMITS: RecentLimits = RecentLimits { bytes: 100_000, history: Duration::from_secs(1) };

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
fn epoch() -> Instant {
    Instant::now()
}

/// A train that is a whole frame of `packets` packets of 1,000 bytes, `ms` after `epoch`.
fn train(epoch: Instant, sequence: u64, packets: usize, keyframe: bool, ms: u64) -> Arc<Train> {
    let received = epoch + Duration::from_millis(ms);
    Arc::new(Train {
        codec: VideoCodec::H264.into(),
        sequence: TrackSeq(sequence),
        timestamp: 90 * ms,
        keyframe,
        starts_frame: true,
        ends_frame: true,
        marker: true,
        received,
        captured: received,
        source_time: None,
        redundant: None,
        packets: std::iter::repeat_n([0; 1_000], packets).collect(),
    })
}

fn sequences<'a>(trains: impl Iterator<Item = &'a Arc<Train>>) -> Vec<u64> {
    trains.map(|train| train.sequence.0).collect()
}

#[test]
fn keeps_back_to_the_keyframe_and_one_second() {
    let (t, mut recent) = (epoch(), Recent::new(LIMITS));
    for frame in 0..30 {
        assert!(recent.push(train(t, frame * 2, 2, frame % 20 == 0, frame * 100)));
    }
    // Newest: frame 29 at 2.9 s. Keyframe: frame 20 at 2.0 s. History: from 1.9 s on.
    assert_eq!(recent.since_keyframe(), Some(TrackSeq(40)));
    assert_eq!(
        sequences(recent.trains_from(TrackSeq(0))),
        (19..30).map(|frame| frame * 2).collect::<Vec<_>>()
    );
    assert_eq!(recent.bytes(), 22_000);

    for frame in 30..39 {
        recent.push(train(t, frame * 2, 2, false, frame * 100));
    }
    assert_eq!(sequences(recent.trains_from(TrackSeq(0)))[0], 40, "a keyframe stays however old it is");
    assert_eq!(recent.evicted_early(), 0);
}

#[test]
fn what_is_kept_follows_limits_that_are_changed() {
    let (t, mut recent) = (epoch(), Recent::new(LIMITS));
    for frame in 0..30 {
        recent.push(train(t, frame, 1, frame % 20 == 0, frame * 100));
    }
    assert_eq!(sequences(recent.trains_from(TrackSeq(0)))[0], 19);
    recent.limit(RecentLimits { history: Duration::ZERO, ..LIMITS });
    recent.push(train(t, 30, 1, false, 3_000));
    assert_eq!(sequences(recent.trains_from(TrackSeq(0)))[0], 20, "back to the keyframe alone");
    recent.limit(RecentLimits { bytes: 5_000, ..LIMITS });
    recent.push(train(t, 31, 1, false, 3_100));
    assert!(recent.held() <= 5_000 && recent.since_keyframe().is_none(), "{} bytes", recent.held());
    recent.limit(LIMITS);
    recent.push(train(t, 32, 1, true, 3_200));
    assert_eq!(recent.since_keyframe(), Some(TrackSeq(32)));
}

#[test]
fn without_a_history_keeps_back_to_the_keyframe_alone() {
    let limits = RecentLimits { history: Duration::ZERO, ..LIMITS };
    let (t, mut recent) = (epoch(), Recent::new(limits));
    for frame in 0..30 {
        recent.push(train(t, frame * 2, 2, frame % 20 == 0, frame * 100));
        let keyframe = frame / 20 * 20;
        assert_eq!(recent.since_keyframe(), Some(TrackSeq(keyframe * 2)));
        assert_eq!(
            sequences(recent.trains_from(TrackSeq(0))),
            (keyframe..=frame).map(|frame| frame * 2).collect::<Vec<_>>()
        );
    }
    assert_eq!(recent.evicted_early(), 0);
}

#[test]
fn finds_packets() {
    let (t, mut recent) = (epoch(), Recent::new(LIMITS));
    assert!(recent.train_containing(TrackSeq(0)).is_none() && recent.latest().is_none());
    recent.push(train(t, 10, 3, true, 0));
    recent.push(train(t, 13, 2, false, 40));
    recent.push(train(t, 20, 1, false, 80));

    let found = |sequence| {
        let found = recent.train_containing(TrackSeq(sequence));
        found.map(|(train, index)| (train.sequence.0, index))
    };
    assert_eq!(
        [9, 10, 12, 13, 14].map(found),
        [None, Some((10, 0)), Some((10, 2)), Some((13, 0)), Some((13, 1))]
    );
    assert_eq!([15, 19, 20, 21, u64::MAX].map(found), [None, None, Some((20, 0)), None, None]);

    assert_eq!(sequences(recent.trains_from(TrackSeq(12))), [10, 13, 20]);
    assert_eq!(recent.trains_from(TrackSeq(15)).len(), 1);
    assert_eq!(recent.trains_from(TrackSeq(21)).len(), 0);
}

#[test]
fn a_gap_makes_the_keyframe_before_it_useless() {
    let (t, mut recent) = (epoch(), Recent::new(LIMITS));
    recent.push(train(t, 0, 2, true, 0));
    recent.push(train(t, 3, 1, false, 40));
    assert_eq!(recent.since_keyframe(), None);
    assert!(recent.train_containing(TrackSeq(1)).is_some(), "a NACK of before the gap is still answered");

    recent.push(train(t, 4, 1, false, 80));
    assert_eq!(recent.since_keyframe(), None);
    recent.push(train(t, 9, 1, true, 120));
    assert_eq!(recent.since_keyframe(), Some(TrackSeq(9)), "a keyframe needs nothing of before, gap or not");
}

#[test]
fn older_trains_are_refused() {
    let (t, mut recent) = (epoch(), Recent::new(LIMITS));
    assert!(recent.push(train(t, 10, 2, true, 0)));
    for sequence in [0, 10, 11] {
        assert!(!recent.push(train(t, sequence, 1, true, 40)), "{sequence}");
    }
    assert_eq!((recent.len(), recent.since_keyframe()), (1, Some(TrackSeq(10))));
    assert!(recent.push(train(t, 12, 1, false, 40)));
}

#[test]
fn bytes_win_over_the_keyframe() {
    let t = epoch();
    // Room for trains of 3 and of 2 packets, and for no more.
    let held = |packets| size_of::<Kept>() + train(t, 0, packets, true, 0).held();
    let limits = RecentLimits { bytes: held(3) + held(2), ..LIMITS };
    let mut recent = Recent::new(limits);
    recent.push(train(t, 0, 3, true, 0));
    recent.push(train(t, 3, 2, false, 40));
    assert_eq!(
        (recent.since_keyframe(), recent.bytes(), recent.held()),
        (Some(TrackSeq(0)), 5_000, limits.bytes)
    );

    recent.push(train(t, 5, 1, false, 80));
    assert_eq!((recent.since_keyframe(), recent.bytes(), recent.evicted_early()), (None, 3_000, 1));

    // One train beyond the limit leaves nothing; the order of sequences is still known.
    recent.push(train(t, 6, 9, true, 120));
    assert_eq!((recent.since_keyframe(), recent.len(), recent.bytes(), recent.held()), (None, 0, 0, 0));
    assert_eq!(recent.evicted_early(), 4);
    assert!(!recent.push(train(t, 14, 1, true, 160)));
    assert!(recent.push(train(t, 15, 1, true, 160)));
    assert_eq!(recent.since_keyframe(), Some(TrackSeq(15)));
}

#[test]
fn tiny_trains_are_bounded_by_the_memory_they_hold_and_by_their_number() {
    let t = epoch();
    let tiny = |sequence| {
        let mut train = Arc::into_inner(train(t, sequence, 0, sequence == 0, 0)).expect("nobody has it");
        train.packets = std::iter::once([0x41, 0x9a]).collect();
        Arc::new(train)
    };
    let (mut small, mut large) = (
        Recent::new(RecentLimits { bytes: 1 << 20, history: Duration::from_secs(1) }),
        Recent::new(RecentLimits { bytes: 1 << 30, history: Duration::from_secs(1) }),
    );
    for sequence in 0..MAX_TRAINS as u64 {
        small.push(tiny(sequence));
        large.push(tiny(sequence));
    }
    assert!(small.held() <= 1 << 20 && small.len() < (1 << 20) / size_of::<Train>(), "{}", small.len());
    assert_eq!((large.len(), large.since_keyframe()), (MAX_TRAINS, Some(TrackSeq(0))));
    large.push(tiny(MAX_TRAINS as u64));
    assert_eq!(
        (large.len(), large.since_keyframe()),
        (MAX_TRAINS, None),
        "no more, whatever the bytes allow"
    );
}

#[test]
fn a_keyframe_of_several_trains_is_one_start() {
    let (t, mut recent) = (epoch(), Recent::new(LIMITS));
    recent.push(train(t, 0, 50, true, 0));
    recent.push(train(t, 50, 10, false, 0));
    assert_eq!(recent.since_keyframe(), Some(TrackSeq(0)));
    assert_eq!(recent.trains_from(TrackSeq(0)).len(), 2);
}

#[test]
fn frame_interval_is_the_median_in_order_of_display() {
    let (t, mut recent) = (epoch(), Recent::new(LIMITS));
    assert_eq!(recent.frame_interval(), None);
    recent.push(train(t, 0, 1, true, 0));
    assert_eq!(recent.frame_interval(), None);
    recent.push(train(t, 1, 1, false, 40));
    assert_eq!(recent.frame_interval(), Some(Duration::from_millis(40)));

    // Decoding order I P B B: 0, 120, 40, 80. Then a hole of 5 s.
    let mut sequence = 2;
    for group in 0..4 {
        for ms in [120, 40, 80] {
            let hole = if group == 3 { 5_000 } else { 0 };
            recent.push(train(t, sequence, 1, false, 40 + group * 120 + ms + hole));
            sequence += 1;
        }
    }
    assert_eq!(recent.frame_interval(), Some(Duration::from_millis(40)));
}

#[test]
fn frame_interval_passes_over_a_hole_and_shared_timestamps() {
    for times in [[0, 40, 80, 280, 320, 360], [0, 0, 40, 40, 80, 80]] {
        let (t, mut recent) = (epoch(), Recent::new(LIMITS));
        for (sequence, ms) in times.into_iter().enumerate() {
            recent.push(train(t, sequence as u64, 1, sequence == 0, ms));
        }
        assert_eq!(recent.frame_interval(), Some(Duration::from_millis(40)), "{times:?}");
    }
}

#[derive(Debug, Clone)]
struct Step {
    packets: usize,
    keyframe: bool,
    skipped: u64,
    ms: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let skipped = prop_oneof![9 => Just(0), 1 => 1..5u64];
    let step = (1..30usize, prop::bool::weighted(0.1), skipped, 0..400u64)
        .prop_map(|(packets, keyframe, skipped, ms)| Step { packets, keyframe, skipped, ms });
    prop::collection::vec(step, 1..120)
}

proptest! {
    /// Against the plain list of everything that was pushed.
    #[test]
    fn holds_what_it_promises(steps in steps()) {
        let (t, mut recent) = (epoch(), Recent::new(LIMITS));
        let mut all: Vec<Arc<Train>> = Vec::new();
        let (mut sequence, mut ms) = (0, 0);
        for step in steps {
            sequence += step.skipped;
            ms += step.ms;
            let next = train(t, sequence, step.packets, step.keyframe, ms);
            sequence = next.end().0;
            prop_assert!(recent.push(next.clone()));
            all.push(next);

            // What is kept is a tail of what was pushed, within the bytes.
            let kept: Vec<_> = recent.trains_from(TrackSeq(0)).cloned().collect();
            let tail = &all[all.len() - kept.len()..];
            prop_assert!(kept.iter().zip(tail).all(|(a, b)| Arc::ptr_eq(a, b)));
            prop_assert_eq!(recent.bytes(), kept.iter().map(|train| train.bytes()).sum::<usize>());
            let held = |train: &Arc<Train>| size_of::<Kept>() + train.held();
            prop_assert_eq!(recent.held(), kept.iter().map(held).sum::<usize>());
            prop_assert!(recent.held() <= LIMITS.bytes);

            // The young stay if they fit; the old go unless a late joiner needs them.
            let evicted = &all[..all.len() - kept.len()];
            let young = |train: &Arc<Train>| all[all.len() - 1].received - train.received <= LIMITS.history;
            if recent.evicted_early() == 0 {
                prop_assert!(!evicted.last().is_some_and(young));
            }
            if let Some(oldest) = kept.first() {
                prop_assert!(young(oldest) || recent.since_keyframe() == Some(oldest.sequence));
            }

            // A late joiner gets a keyframe and everything behind it.
            let last_keyframe = all.iter().rposition(|train| train.keyframe);
            let playable = last_keyframe.filter(|&at| {
                at >= evicted.len() && all[at..].windows(2).all(|pair| pair[0].end() == pair[1].sequence)
            });
            prop_assert_eq!(recent.since_keyframe(), playable.map(|at| all[at].sequence));
            if let Some(start) = recent.since_keyframe() {
                prop_assert!(recent.trains_from(start).next().is_some_and(|train| train.keyframe));
            }

            // A NACK finds exactly the packets of what is kept.
            for asked in sequence.saturating_sub(80)..sequence + 2 {
                let expected = kept.iter().find(|train| (train.sequence..train.end()).contains(&TrackSeq(asked)));
                let found = recent.train_containing(TrackSeq(asked));
                let found = found.map(|(train, index)| (train.sequence + index as u64).0);
                prop_assert_eq!(found, expected.map(|_| asked));
            }
        }
    }
}

#[test]
fn the_newest_whole_keyframe_is_found_whatever_came_behind_it() {
    let (t, mut recent) = (epoch(), Recent::new(LIMITS));
    let part = |sequence, keyframe, starts_frame, ends_frame, ms| {
        let mut train = Arc::into_inner(train(t, sequence, 1, keyframe, ms)).expect("nobody else has it");
        (train.starts_frame, train.ends_frame) = (starts_frame, ends_frame);
        Arc::new(train)
    };
    assert!(recent.newest_keyframe().is_empty());
    recent.push(train(t, 0, 1, false, 0));
    assert!(recent.newest_keyframe().is_empty());

    recent.push(part(1, true, true, false, 40));
    assert!(recent.newest_keyframe().is_empty(), "its end is not here");
    recent.push(part(2, false, false, true, 40));
    recent.push(train(t, 3, 1, false, 80));
    assert_eq!(sequences(recent.newest_keyframe().iter()), [1, 2]);

    // A gap: nobody may join there, but the picture is still one.
    recent.push(train(t, 9, 1, false, 120));
    assert_eq!(recent.since_keyframe(), None);
    assert_eq!(sequences(recent.newest_keyframe().iter()), [1, 2]);
    // Half of the next one: the one before it is the newest whole.
    recent.push(part(10, true, true, false, 160));
    assert_eq!(sequences(recent.newest_keyframe().iter()), [1, 2]);
    recent.push(part(11, false, false, true, 160));
    assert_eq!(sequences(recent.newest_keyframe().iter()), [10, 11]);
    // One with a hole in it.
    recent.push(part(12, true, true, false, 200));
    recent.push(part(14, false, false, true, 200));
    assert_eq!(sequences(recent.newest_keyframe().iter()), [10, 11]);
}

#[test]
fn what_is_forgotten_is_gone_and_numbers_go_on() {
    let (t, mut recent) = (epoch(), Recent::new(LIMITS));
    assert!(recent.push(train(t, 0, 2, true, 0)) && recent.push(train(t, 2, 2, false, 40)));
    assert!(!recent.is_empty() && recent.held() > 0);
    recent.forget();
    assert!(recent.is_empty() && recent.train_containing(TrackSeq(1)).is_none());
    assert_eq!((recent.bytes(), recent.held(), recent.since_keyframe()), (0, 0, None));
    assert!(!recent.push(train(t, 2, 2, false, 40)), "older than what was here");
    assert!(recent.push(train(t, 4, 2, true, 80)));
    assert_eq!(recent.since_keyframe(), Some(TrackSeq(4)));
}
