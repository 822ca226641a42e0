//! What a viewer may cause, second by second.

use proptest::prelude::*;

use super::*;

/// 2 Mb/s.
const RATE: u64 = 250_000;

const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "virtual time has to start somewhere")]
fn start() -> Instant {
    Instant::now()
}

/// The first of a group of its own, small enough to be paid for.
fn replay(group: u64) -> Replay {
    Replay { keyframe: TrackSeq(group), bytes: 10_000 }
}

proptest! {
    #[test]
    fn whatever_is_asked_for_is_within_the_share_of_any_ten_seconds(
        steps in prop::collection::vec((0u64..700, 0u64..200_000), 1..300),
    ) {
        let (began, mut now) = (start(), start());
        let mut budget = Budget::new(began);
        let mut spent: Vec<(Instant, u64)> = Vec::new();
        for (wait, wanted) in steps {
            now += Duration::from_millis(wait);
            if wanted <= budget.left(now, RATE) {
                budget.spend(wanted);
                spent.push((now, wanted));
            }
            let lately = spent.iter().filter(|(at, _)| now - *at < SECOND * 10).map(|(_, bytes)| bytes);
            prop_assert!(lately.sum::<u64>() <= RATE * 10 * 15 / 100);
        }
    }
}

#[test]
fn what_was_spent_comes_back_after_the_window() {
    let now = start();
    let mut budget = Budget::new(now);
    assert_eq!(budget.left(now, RATE), 375_000, "a second and a half of the stream, from the beginning");
    budget.spend(375_000);
    assert_eq!(budget.left(now + SECOND * 10, RATE), 0);
    assert_eq!(budget.left(now + SECOND * 11, RATE), 375_000);
    budget.spend(375_000);
    assert_eq!(budget.left(now + SECOND * 86_400, RATE), 375_000, "and after a long time");
    assert_eq!(budget.left(now + SECOND * 86_400, 0), 0);
}

#[test]
fn nobody_is_sent_again_a_share_of_what_does_not_come_through() {
    let now = start();
    let mut budget = Budget::new(now);
    budget.carries(Some(RATE as u32 / 2));
    assert_eq!(budget.left(now, RATE), 187_500);
    assert_eq!(budget.replay(now, Replay { bytes: 200_000, ..replay(1) }, RATE), KeyframeAnswer::Awaited);
    budget.carries(Some(RATE as u32 * 2));
    assert_eq!(budget.left(now, RATE), 375_000, "nor of more than there is");
}

#[test]
fn a_group_of_pictures_is_replayed_once() {
    let now = start();
    let mut budget = Budget::new(now);
    assert_eq!(budget.replay(now, replay(1), RATE), KeyframeAnswer::Replayed);
    assert_eq!(budget.replay(now + SECOND / 2, replay(1), RATE), KeyframeAnswer::Coalesced);
    for seconds in 1..60 {
        assert_eq!(budget.replay(now + SECOND * seconds, replay(1), RATE), KeyframeAnswer::Awaited);
    }
    assert_eq!(budget.replay(now + SECOND * 60, replay(2), RATE), KeyframeAnswer::Replayed);
}

#[test]
fn a_group_that_costs_more_than_is_left_is_not_replayed() {
    let now = start();
    let mut budget = Budget::new(now);
    let dear = Replay { keyframe: TrackSeq(1), bytes: 375_001 };
    assert_eq!(budget.replay(now, dear, RATE), KeyframeAnswer::Awaited);
    budget.spend(370_000);
    assert_eq!(budget.replay(now, replay(1), RATE), KeyframeAnswer::Awaited, "repairs spend the same");
    assert_eq!(budget.replay(now + SECOND * 11, replay(1), RATE), KeyframeAnswer::Replayed);
    assert_eq!(budget.left(now + SECOND * 11, RATE), 365_000);
}

#[test]
fn replays_that_do_not_help_become_seldom_and_those_that_help_do_not() {
    let now = start();
    let mut budget = Budget::new(now);
    // A browser that cannot show the stream: a request a second, a group a second.
    let asked =
        (0..600).map(|second| (second, budget.replay(now + SECOND * second, replay(second.into()), RATE)));
    let replayed: Vec<u32> =
        asked.filter(|(_, answer)| *answer == KeyframeAnswer::Replayed).map(|(second, _)| second).collect();
    assert_eq!(replayed[..7], [0, 1, 3, 7, 15, 31, 63]);
    assert!(replayed[7..].windows(2).all(|pair| pair[1] - pair[0] == 60), "{replayed:?}");

    // A lost picture now and then.
    let mut budget = Budget::new(now);
    for second in (0..600).step_by(12) {
        let answer = budget.replay(now + SECOND * second, replay(second.into()), RATE);
        assert_eq!(answer, KeyframeAnswer::Replayed, "after {second} s");
    }
}

#[test]
fn so_many_in_a_second_and_no_more() {
    let mut now = start();
    let mut budget = Budget::new(now);
    let taken = (0..5_000).filter(|_| budget.take_packet(now)).count();
    assert_eq!(taken, RTCP_PER_SECOND as usize);
    // As many again, however they are spread, and never a debt.
    let mut taken = 0;
    for _ in 0..10_000 {
        now += SECOND / 10_000;
        taken += u32::from(budget.take_packet(now));
    }
    assert!(taken.abs_diff(RTCP_PER_SECOND) <= 1, "{taken}");
    now += SECOND * 60;
    assert!(budget.take_numbers(now, NUMBERS_PER_SECOND) && !budget.take_numbers(now, 1));
    assert!(!budget.take_numbers(now, NUMBERS_PER_SECOND), "what is refused costs nothing");
    assert!(budget.take_numbers(now + SECOND / 2, NUMBERS_PER_SECOND / 2));
}

#[test]
fn another_layer_is_begun_in_the_past_once_in_a_while_and_its_keyframes_are_others() {
    let now = start();
    let mut budget = Budget::new(now);
    assert!(budget.may_begin_in_the_past(now));
    assert_eq!(budget.replay(now, replay(1), RATE), KeyframeAnswer::Replayed);
    budget.begun_in_the_past(now);
    assert!(!budget.may_begin_in_the_past(now + PAST_INTERVAL - Duration::from_millis(1)));
    assert!(budget.may_begin_in_the_past(now + PAST_INTERVAL));
    // Of that number is another keyframe there.
    assert_eq!(budget.replay(now + SECOND * 2, replay(1), RATE), KeyframeAnswer::Replayed);
}

#[test]
fn what_is_left_may_be_spent_to_the_last_byte() {
    let now = start();
    let mut budget = Budget::new(now);
    let all = budget.left(now, RATE);
    let of = |bytes| Replay { keyframe: TrackSeq(1), bytes };
    assert_eq!(budget.replay(now, of(all + 1), RATE), KeyframeAnswer::Awaited);
    assert_eq!(budget.replay(now, of(all), RATE), KeyframeAnswer::Replayed);
    assert_eq!(budget.left(now, RATE), 0);
}
