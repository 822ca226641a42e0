//! The fan-out against a model: whatever comes, leaves and waits, every viewer gets every train once
//! and in order.

use std::collections::HashMap;

use proptest::prelude::*;
use sluice_media::{AudioCodec, Codec, Redundant, VideoCodec};

use super::*;
use crate::track::TrackSeq;

const PACING: Pacing = Pacing { spread: ms(15), audio_hold: ms(10) };
const AT_ONCE: Pacing = Pacing { spread: Duration::ZERO, audio_hold: Duration::ZERO };
const VIDEO: Codec = Codec::Video(VideoCodec::H264);
const AUDIO: Codec = Codec::Audio(AudioCodec::Opus);
const INTERVAL: Option<Duration> = Some(ms(33));

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
fn start() -> Instant {
    Instant::now()
}

fn train(
    codec: Codec,
    sequence: u64,
    whole: (bool, bool),
    received: Instant,
    lengths: &[usize],
) -> Arc<Train> {
    Arc::new(Train {
        codec,
        sequence: TrackSeq(sequence),
        timestamp: sequence,
        keyframe: codec == AUDIO,
        starts_frame: whole.0,
        ends_frame: whole.1,
        marker: whole.1,
        received,
        captured: received,
        source_time: None,
        redundant: None,
        packets: lengths.iter().map(|&length| vec![0; length]).collect(),
    })
}

fn picture(sequence: u64, received: Instant) -> Arc<Train> {
    train(VIDEO, sequence, (true, true), received, &[1_000, 1_000, 998])
}

fn sound(sequence: u64, received: Instant) -> Arc<Train> {
    train(AUDIO, sequence, (true, true), received, &[80])
}

/// Takes every turn there is. Returns the place, codec, sequence and padding of each train.
fn drain(fan_out: &mut FanOut, now: Instant, viewers: usize) -> Vec<(usize, Codec, u64, u8)> {
    let mut turns = Vec::new();
    while let Some((place, job)) = fan_out.peek(now, viewers) {
        turns.extend(job.trains().map(|(train, padding)| (place, train.codec, train.sequence.0, padding)));
        fan_out.advance(viewers);
    }
    turns
}

#[test]
fn pictures_leave_by_the_pace_that_is_in_effect_when_they_come() {
    let now = start();
    let mut fan_out = FanOut::new(AT_ONCE);
    let large = |sequence, parts: (bool, bool)| train(VIDEO, sequence, parts, now, &[1_000; 16]);
    let push = |fan_out: &mut FanOut, first: u64| {
        fan_out.push_picture(now, large(first, (true, false)), INTERVAL);
        fan_out.push_picture(now, large(first + 16, (false, true)), INTERVAL);
    };
    push(&mut fan_out, 0);
    assert_eq!(drain(&mut fan_out, now, 100).len(), 200, "all of it at once");
    fan_out.tune(PACING);
    push(&mut fan_out, 32);
    let at_once = drain(&mut fan_out, now, 100).len();
    assert!(at_once < 150, "{at_once} of 200 turns at once");
    assert_eq!(at_once + drain(&mut fan_out, now + ms(20), 100).len(), 200);
}

#[test]
fn a_picture_goes_to_every_viewer_at_once() {
    let now = start();
    let mut fan_out = FanOut::new(PACING);
    fan_out.push_picture(now, picture(1, now), INTERVAL);
    assert_eq!(fan_out.due(now), Some(now));
    let turns = drain(&mut fan_out, now, 3);
    assert_eq!(turns, [0, 1, 2].map(|place| (place, VIDEO, 1, 0)));
    assert!(fan_out.is_idle());
    assert_eq!(fan_out.due(now), None);
}

#[test]
fn a_large_picture_is_spread_and_what_follows_waits_for_it() {
    let now = start();
    let mut fan_out = FanOut::new(PACING);
    fan_out.push_picture(now, train(VIDEO, 0, (true, false), now, &[1_200; 16]), INTERVAL);
    fan_out.push_picture(now, train(VIDEO, 16, (false, true), now, &[1_200; 8]), INTERVAL);
    let mut sent = vec![drain(&mut fan_out, now, 300).len()];
    assert_eq!(sent, [600 / 15]);
    // The next picture comes in between.
    fan_out.push_picture(now + ms(5), picture(24, now), INTERVAL);
    let mut order = Vec::new();
    for step in 1..=15 {
        let due = fan_out.due(now + ms(step)).expect("more to send");
        assert_eq!(due, now + ms(step), "a step a millisecond");
        let turns = drain(&mut fan_out, now + ms(step), 300);
        sent.push(turns.len());
        order.extend(turns.iter().map(|turn| turn.2));
        if fan_out.is_idle() {
            break;
        }
    }
    assert_eq!(sent.iter().sum::<usize>(), 900);
    assert!(sent[1..sent.len() - 1].iter().all(|turns| (39..=41).contains(turns)), "{sent:?}");
    assert!(order.is_sorted(), "all of one train before any of the next");
    assert!(fan_out.is_idle(), "all is out when the spread is over: {sent:?}");
}

#[test]
fn the_spread_is_never_more_than_half_the_interval_and_may_be_off() {
    let now = start();
    let large = |now| train(VIDEO, 0, (true, false), now, &[1_200; 16]);
    let mut fan_out = FanOut::new(PACING);
    fan_out.push_picture(now, large(now), Some(ms(16)));
    assert_eq!(drain(&mut fan_out, now, 80).len(), 10, "80 in 8 steps");
    for pacing in [AT_ONCE, PACING] {
        let mut fan_out = FanOut::new(pacing);
        fan_out.push_picture(now, large(now), if pacing == PACING { None } else { INTERVAL });
        assert_eq!(drain(&mut fan_out, now, 80).len(), 80);
    }
}

#[test]
fn sound_travels_behind_the_next_picture() {
    let now = start();
    let mut fan_out = FanOut::new(PACING);
    fan_out.push_sound(now, sound(7, now), true);
    assert_eq!(drain(&mut fan_out, now, 2), []);
    assert_eq!(fan_out.due(now), Some(now + ms(10)));
    fan_out.push_picture(now + ms(4), picture(1, now), INTERVAL);
    let turns = drain(&mut fan_out, now + ms(4), 2);
    let both = |place| [(place, VIDEO, 1, 2), (place, AUDIO, 7, 0)];
    assert_eq!(turns, [both(0), both(1)].concat(), "2 bytes make the last packet as long as the others");
}

#[test]
fn sound_waits_no_longer_than_its_time_and_for_nothing_not_at_all() {
    let now = start();
    let mut fan_out = FanOut::new(PACING);
    fan_out.push_sound(now, sound(7, now), true);
    assert_eq!(drain(&mut fan_out, now + ms(9), 1), []);
    assert_eq!(drain(&mut fan_out, now + ms(10), 1), [(0, AUDIO, 7, 0)]);
    fan_out.push_sound(now, sound(8, now), false);
    assert_eq!(drain(&mut fan_out, now, 1), [(0, AUDIO, 8, 0)]);
    let mut fan_out = FanOut::new(AT_ONCE);
    fan_out.push_sound(now, sound(9, now), true);
    assert_eq!(drain(&mut fan_out, now, 1), [(0, AUDIO, 9, 0)]);
}

#[test]
fn sound_does_not_wait_behind_a_spread_picture() {
    let now = start();
    let mut fan_out = FanOut::new(PACING);
    fan_out.push_picture(now, train(VIDEO, 0, (true, false), now, &[1_200; 16]), INTERVAL);
    drain(&mut fan_out, now, 100);
    fan_out.push_sound(now, sound(7, now), true);
    let turns = drain(&mut fan_out, now + ms(10), 100);
    assert_eq!(turns.iter().filter(|turn| turn.1 == AUDIO).count(), 100);
    assert_eq!(turns[0].1, AUDIO);
}

#[test]
fn sound_rides_with_a_picture_that_waits() {
    let now = start();
    let mut fan_out = FanOut::new(AT_ONCE);
    fan_out.push_picture(now, picture(1, now), INTERVAL);
    fan_out.peek(now, 2).expect("a turn");
    fan_out.advance(2);
    // One has its turn behind it, so the next one takes the sound, and all of it.
    fan_out.push_picture(now + ms(33), picture(4, now), INTERVAL);
    fan_out.push_sound(now + ms(34), sound(7, now), true);
    fan_out.push_sound(now + ms(54), sound(8, now), true);
    let turns = drain(&mut fan_out, now + ms(60), 2);
    let order: Vec<_> = turns.iter().map(|turn| (turn.0, turn.1, turn.2)).collect();
    let both = |place| [(place, VIDEO, 4), (place, AUDIO, 7), (place, AUDIO, 8)];
    assert_eq!(order, [&[(1, VIDEO, 1)][..], &both(0), &both(1)].concat());
}

#[test]
fn sound_that_cannot_ride_takes_turns_with_pictures() {
    let now = start();
    let mut fan_out = FanOut::new(AT_ONCE);
    // Pieces of a large picture are in the middle of the list all the time.
    let piece = |number| train(VIDEO, number * 16, (number == 0, false), now, &[1_200; 16]);
    fan_out.push_picture(now, piece(0), INTERVAL);
    let mut order = Vec::new();
    for number in 0..6 {
        fan_out.push_picture(now, piece(number + 1), INTERVAL);
        fan_out.push_sound(now, sound(number, now), true);
        for _ in 0..3 {
            let (_, job) = fan_out.peek(now, 3).expect("a turn");
            order.push(job.trains().next().expect("a train").0.codec);
            fan_out.advance(3);
        }
    }
    let pictures = order.iter().filter(|codec| **codec == VIDEO).count();
    assert!((6..=12).contains(&pictures), "every second one is of a picture, or nearly: {order:?}");
}

#[test]
fn sound_that_waits_for_its_first_turn_goes_together() {
    let now = start();
    let mut fan_out = FanOut::new(AT_ONCE);
    (0..7).for_each(|number| fan_out.push_sound(now, sound(number, now), false));
    let mut jobs = Vec::new();
    while let Some((_, job)) = fan_out.peek(now, 1) {
        jobs.push(job.trains().map(|(train, _)| train.sequence.0).collect::<Vec<_>>());
        fan_out.advance(1);
    }
    assert_eq!(jobs, [vec![0, 1, 2, 3, 4], vec![5, 6]]);
}

#[test]
fn padding_only_where_it_lets_sound_share_the_message() {
    let now = start();
    let video = |lengths: &[usize]| train(VIDEO, 0, (true, true), now, lengths);
    let audio = |length| train(AUDIO, 0, (true, true), now, &[length]);
    assert_eq!(padding(&video(&[1_000, 1_000, 990]), &audio(80)), 10);
    assert_eq!(padding(&video(&[1_000, 1_000]), &audio(80)), 0, "equal already");
    assert_eq!(padding(&video(&[400]), &audio(80)), 0, "one packet may have any length");
    assert_eq!(padding(&video(&[60]), &audio(80)), 20, "but not be the shorter one");
    assert_eq!(padding(&video(&[1_000, 500]), &audio(80)), 0, "500 bytes cannot be padding");
    assert_eq!(padding(&video(&[70, 70, 60]), &audio(80)), 0, "sound would be the longer one");
    assert_eq!(padding(&audio(70), &audio(80)), 10);
    assert_eq!(padding(&audio(90), &audio(80)), 0);
}

#[test]
fn sound_that_came_with_a_picture_goes_with_it_whichever_was_first() {
    let now = start();
    let mut fan_out = FanOut::new(PACING);
    fan_out.push_sound(now, sound(1, now), true);
    fan_out.push_picture(now, picture(2, now), INTERVAL);
    fan_out.push_sound(now, sound(5, now), true);
    let (_, job) = fan_out.peek(now, 1).expect("a turn");
    assert_eq!(job.trains().map(|(train, _)| train.sequence.0).collect::<Vec<_>>(), [2, 1, 5]);
    fan_out.advance(1);
    assert!(fan_out.is_idle(), "nothing is held");
    // Behind one that has begun to leave it waits for the next.
    fan_out.push_picture(now, picture(6, now), INTERVAL);
    fan_out.peek(now, 2).expect("a turn");
    fan_out.advance(2);
    fan_out.push_sound(now, sound(9, now), true);
    assert_eq!(drain(&mut fan_out, now, 2), [(1, VIDEO, 6, 0)]);
}

#[test]
fn two_packets_of_sound_leave_around_a_picture_that_begins_with_a_short_packet() {
    let now = start();
    let order = |lengths: &[usize], sounds: u64| {
        let companions = (1..=sounds).map(|sequence| sound(sequence, now)).collect();
        let picture = train(VIDEO, 0, (true, true), now, lengths);
        let job = Job::new(picture, companions, now);
        job.trains().map(|(train, padding)| (train.sequence.0, padding)).collect::<Vec<_>>()
    };
    // The first packet of sound begins a message in which the note about the picture is the shorter last one.
    assert_eq!(order(&[60, 1_000, 998], 2), [(1, 0), (0, 2), (2, 0)]);
    assert_eq!(order(&[90, 1_000, 998], 2), [(1, 10), (0, 2), (2, 0)], "it must not be the longer one");
    assert_eq!(order(&[60, 1_000, 998], 1), [(0, 2), (1, 0)], "as cheap behind it");
    assert_eq!(order(&[1_000, 1_000, 998], 2), [(0, 2), (1, 0), (2, 0)]);
    assert_eq!(order(&[700], 2), [(0, 0), (1, 0), (2, 0)]);
}

#[test]
fn what_waited_too_long_is_dropped_oldest_first() {
    let now = start();
    let mut fan_out = FanOut::new(PACING);
    fan_out.push_picture(now, picture(1, now), INTERVAL);
    fan_out.push_picture(now + ms(33), picture(4, now), INTERVAL);
    // One of three viewers had its turn before the socket filled up.
    fan_out.peek(now, 3).expect("a turn");
    fan_out.advance(3);
    assert_eq!(fan_out.expire(now + ms(99), true, 3), Expired::default());
    let expired = fan_out.expire(now + ms(100), true, 3);
    assert_eq!(expired, Expired { datagrams: 2 * 3, served: 1 }, "three packets for each of two viewers");
    assert_eq!(fan_out.expire(now + ms(532), false, 3), Expired::default(), "others have their turns");
    assert_eq!(fan_out.expire(now + ms(533), false, 3), Expired { datagrams: 3 * 3, served: 0 });
    assert!(fan_out.is_idle());
}

#[test]
fn the_order_stays_while_a_train_is_halfway() {
    let now = start();
    let mut fan_out = FanOut::new(PACING);
    let large = train(VIDEO, 0, (true, false), now, &[1_200; 16]);
    fan_out.push_picture(now, large, INTERVAL);
    fan_out.peek(now, 100).expect("a turn");
    fan_out.advance(100);
    fan_out.push_sound(now + ms(400), sound(7, now), false);
    fan_out.peek(now + ms(400), 100).expect("a turn");
    fan_out.advance(100);
    let expired = fan_out.expire(now + ms(515), false, 100);
    assert_eq!(expired, Expired { datagrams: 99 * 16, served: 0 }, "sound is in the middle of the list");
}

/// What may happen to a stream.
#[derive(Debug, Clone)]
enum Step {
    Picture { trains: usize },
    Sound,
    Turns(usize),
    Wait(u64),
    Leave(usize),
    Join,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1..4usize).prop_map(|trains| Step::Picture { trains }),
        2 => Just(Step::Sound),
        4 => (1..40usize).prop_map(Step::Turns),
        3 => (0..20u64).prop_map(Step::Wait),
        1 => (0..20usize).prop_map(Step::Leave),
        1 => Just(Step::Join),
    ]
}

proptest! {
    /// Viewers come and go, turns are taken in pieces, time passes: each viewer's sequence numbers of
    /// each kind follow each other without gap or repetition from the first it gets to the last.
    #[test]
    fn nobody_misses_a_train_or_gets_one_twice(steps in prop::collection::vec(step(), 1..120)) {
        let mut now = start();
        let mut fan_out = FanOut::new(PACING);
        let mut viewers: Vec<u32> = (0..5).collect();
        let mut next_viewer = 5;
        let mut next: HashMap<Codec, u64> = HashMap::from([(VIDEO, 0), (AUDIO, 0)]);
        let mut got: HashMap<(u32, Codec), u64> = HashMap::new();
        // Long enough for every spread and hold to end.
        let end = [Step::Wait(1), Step::Turns(100_000)].into_iter().cycle().take(80);
        for step in steps.into_iter().chain(end) {
            match step {
                Step::Picture { trains } => for index in 0..trains {
                    let sequence = next.get_mut(&VIDEO).expect("a codec");
                    let whole = (index == 0, index + 1 == trains);
                    fan_out.push_picture(now, train(VIDEO, *sequence, whole, now, &[100]), INTERVAL);
                    *sequence += 1;
                },
                Step::Sound => {
                    let sequence = next.get_mut(&AUDIO).expect("a codec");
                    fan_out.push_sound(now, sound(*sequence, now), true);
                    *sequence += 1;
                }
                Step::Turns(turns) => for _ in 0..turns {
                    let Some((place, job)) = fan_out.peek(now, viewers.len()) else { break };
                    for (train, _) in job.trains() {
                        let key = (viewers[place], train.codec);
                        if let Some(&last) = got.get(&key) {
                            prop_assert_eq!(train.sequence.0, last + 1, "{:?} of viewer {}", train.codec, key.0);
                        }
                        got.insert(key, train.sequence.0);
                    }
                    fan_out.advance(viewers.len());
                },
                Step::Wait(time) => now += ms(time),
                Step::Leave(place) => if place < viewers.len() {
                    viewers.remove(place);
                    fan_out.removed(place);
                },
                Step::Join => {
                    viewers.push(next_viewer);
                    next_viewer += 1;
                }
            }
        }
        prop_assert!(fan_out.is_idle());
        for (codec, next) in next {
            for viewer in viewers.iter().filter(|_| next > 0) {
                if let Some(&last) = got.get(&(*viewer, codec)) {
                    prop_assert_eq!(last + 1, next, "{:?} of viewer {} to the end", codec, viewer);
                }
            }
        }
    }
}

#[test]
fn a_turn_of_sound_needs_room_for_what_goes_twice_and_costs_as_if_it_went_once() {
    let now = start();
    let once = sound(1, now);
    let both = Redundant::new(&[1; 70], &[2; 80], 960);
    let twice = Arc::new(Train { redundant: both, ..Arc::into_inner(sound(1, now)).expect("new") });
    let job = |train: Arc<Train>| {
        let mut fan_out = FanOut::new(AT_ONCE);
        fan_out.push_sound(now, train, false);
        let (_, job) = fan_out.peek(now, 1).expect("a turn");
        (job.bytes, job.cost())
    };
    let ((plain, cost), (room, same)) = (job(once), job(twice));
    assert_eq!((room, same), (plain + 75, cost));
}
