//! Who goes without, in virtual time: trains as plain amounts of bytes, and a way out that takes so many.

use std::collections::VecDeque;

use super::*;

const MS: Duration = Duration::from_millis(1);
const VIEWERS: usize = 100;
/// A picture in 40 ms, a key frame of six times as much in two seconds.
const PICTURE: u64 = 5_000;

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
fn start() -> Instant {
    Instant::now()
}

struct Model {
    now: Instant,
    passed: u64,
    shed: Shed,
    viewers: usize,
    /// Bytes a millisecond.
    takes: f64,
    credit: f64,
    /// When each train came, its bytes for one viewer, and the next viewer's place.
    waiting: VecDeque<(Instant, u64, usize)>,
    /// Trains that each viewer did not get.
    missed: Vec<u64>,
    keyframe: u64,
}

impl Model {
    fn new() -> Model {
        let mut shed = Shed::default();
        (0..VIEWERS).for_each(|number| shed.connected(number as u64, number));
        Model {
            now: start(),
            passed: 0,
            shed,
            viewers: VIEWERS,
            takes: f64::INFINITY,
            credit: 0.0,
            waiting: VecDeque::new(),
            missed: vec![0; VIEWERS],
            keyframe: PICTURE * 6,
        }
    }

    /// Bytes a millisecond that everybody asks for.
    fn asked(&self) -> f64 {
        (PICTURE * 49 + self.keyframe) as f64 * VIEWERS as f64 / 2_000.0
    }

    fn served(&self) -> usize {
        self.viewers - self.shed.without_media()
    }

    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.now += MS;
            self.passed += 1;
            if self.passed.is_multiple_of(40) {
                let keyframe = self.passed.is_multiple_of(2_000);
                if keyframe {
                    self.shed.begins();
                }
                let bytes = if keyframe { self.keyframe } else { PICTURE };
                self.shed.asked(self.now, bytes * self.served() as u64);
                self.waiting.push_back((self.now, bytes, 0));
            }
            let patience = 500 * MS;
            while let Some((_, _, place)) = self.waiting.pop_front_if(|job| self.now - job.0 >= patience) {
                let served = self.served();
                self.missed[place.min(served)..served].iter_mut().for_each(|missed| *missed += 1);
            }
            let late = self.waiting.front().map_or(Duration::ZERO, |job| self.now - job.0);
            self.shed.look(self.now, late, false);
            self.credit = (self.credit + self.takes).min(self.takes * 2.0);
            let served = self.served();
            while let Some(job) = self.waiting.front_mut() {
                if job.2 >= served {
                    self.waiting.pop_front();
                } else if self.credit <= 0.0 {
                    break;
                } else {
                    self.credit -= job.1 as f64;
                    self.shed.done(job.1);
                    job.2 += 1;
                }
            }
        }
    }
}

#[test]
fn the_newest_go_without_and_the_others_lose_nothing() {
    for part in [0.3, 0.4, 0.6, 0.8] {
        let mut model = Model::new();
        model.run(4_000);
        model.takes = model.asked() * part;
        let mut least = VIEWERS;
        let mut sum = 0;
        for _ in 0..600 {
            model.run(100);
            least = least.min(model.served());
            sum += model.served();
        }
        let mean = sum as f64 / 600.0 / VIEWERS as f64;
        assert!(mean > part * 0.9, "{mean} of {part} on average");
        let stay = (part * 0.8 * VIEWERS as f64) as usize;
        assert!(least >= stay, "{least} at the least of {part}");
        assert!(model.missed[..stay].iter().all(|&missed| missed == 0), "{part}: {:?}", model.missed);
        // And back to where there is enough for all.
        model.takes = model.asked() / 0.9;
        model.run(10_000);
        assert_eq!(model.shed.without_media(), 0, "after {part}");
        assert_eq!(model.shed.horizon(), u64::MAX);
    }
}

#[test]
fn a_large_keyframe_cuts_nobody_where_all_is_done_in_time() {
    let mut model = Model::new();
    // Of 0.7 of what can be done a third is the key frame: 400 ms of work every two seconds.
    model.keyframe = PICTURE * 20;
    model.takes = model.asked() / 0.7;
    for _ in 0..600 {
        model.run(100);
        assert_eq!(model.shed.without_media(), 0);
    }
}

#[test]
fn what_comes_at_once_behind_a_pause_was_asked_for_over_the_time_of_it() {
    let mut shed = Shed::default();
    let mut now = start();
    let mut flow = |shed: &mut Shed, pictures: u32, wait: Duration| {
        (0..pictures)
            .map(|_| {
                now += wait;
                shed.asked(now, 1_000);
                shed.slots.iter().map(|slot| slot.asked).sum::<u64>()
            })
            .max()
    };
    let usual = flow(&mut shed, 100, 40 * MS).expect("pictures");
    // Of a second and a half.
    flow(&mut shed, 1, 1_500 * MS);
    flow(&mut shed, 37, Duration::ZERO);
    let most = flow(&mut shed, 45, 40 * MS).expect("pictures");
    assert!(most <= usual * 11 / 10, "{most} in two seconds, usually {usual}");
}

#[test]
fn a_stalled_socket_cuts_nobody() {
    let mut model = Model::new();
    model.run(4_000);
    for _ in 0..1_000 {
        model.now += MS;
        model.shed.asked(model.now, PICTURE);
        model.shed.look(model.now, 400 * MS, true);
    }
    assert_eq!(model.shed.without_media(), 0);
}

#[test]
fn whoever_was_there_first_takes_the_place_of_one_who_leaves() {
    let mut model = Model::new();
    model.run(4_000);
    model.takes = model.asked() * 0.6;
    model.run(3_000);
    let (horizon, without) = (model.shed.horizon(), model.shed.without_media());
    assert!((30..60).contains(&without), "{without} without");
    assert_eq!(horizon, (VIEWERS - without) as u64);
    model.shed.left(3);
    assert_eq!(model.shed.horizon(), horizon + 1);
    // One who did not connect yet, and one who comes now.
    model.shed.left(100_000);
    model.shed.connected(5_000, 5_000);
    assert_eq!((model.shed.horizon(), model.shed.without_media()), (horizon + 1, without));
    // With all who went without gone, nobody does.
    (horizon + 1..5_001).for_each(|number| model.shed.left(number));
    assert_eq!((model.shed.horizon(), model.shed.without_media()), (u64::MAX, 0));
}

#[test]
fn who_goes_without_for_long_is_given_up_the_newest_first_and_until_the_rest_is_served() {
    let mut model = Model::new();
    model.run(4_000);
    model.takes = model.asked() * 0.6;
    let mut given_up = Vec::new();
    let mut first = None;
    let cut_at = loop {
        model.run(1);
        if model.shed.without_media() > 0 {
            break model.now;
        }
    };
    // Those next to the boundary are tried a few times, ever more seldom.
    for _ in 0..120_000 {
        model.run(1);
        while let Some(slot) = model.shed.gives_up(model.now) {
            first.get_or_insert(model.now);
            given_up.push(slot);
            model.shed.left(slot as u64);
            model.viewers -= 1;
        }
    }
    assert!(first.expect("some are given up") - cut_at >= PATIENCE, "not at once");
    assert_eq!(model.shed.without_media(), 0, "nobody goes without any more");
    assert!((30..60).contains(&given_up.len()), "{} given up", given_up.len());
    let stay = VIEWERS - given_up.len();
    assert!(
        given_up.iter().rev().copied().eq(stay..VIEWERS),
        "the newest, and the newest first: {given_up:?}"
    );
    assert!(model.missed[..stay].iter().all(|&missed| missed == 0), "{:?}", model.missed);
}

#[test]
fn who_is_served_again_in_time_is_not_given_up_and_has_the_whole_time_before_him_again() {
    let mut model = Model::new();
    model.run(4_000);
    let (much, little) = (model.asked() * 2.0, model.asked() * 0.5);
    for _ in 0..8 {
        model.takes = little;
        model.run(4_000);
        assert!(model.shed.without_media() > 0);
        assert_eq!(model.shed.gives_up(model.now), None);
        model.takes = much;
        model.run(12_000);
        assert_eq!(model.shed.without_media(), 0);
    }
    // One who comes while others go without has all the time too.
    model.takes = little;
    model.run(8_000);
    model.shed.connected(5_000, 5_000);
    model.viewers += 1;
    model.run(8_000);
    assert_eq!(model.shed.gives_up(model.now), None, "the newest came 8 s ago");
    model.run(2_100);
    assert_eq!(model.shed.gives_up(model.now), Some(5_000));
}
