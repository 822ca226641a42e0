//! A shard's room in virtual time: a model of its work, and joins that come as they like.

use super::*;

const STEP: Duration = Duration::from_millis(10);

/// What a join takes beside its media: a handshake and a catch-up.
const JOIN: f64 = 0.000_7;

/// How long a join takes to connect.
const CONNECT: usize = 15;

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
fn start() -> Instant {
    Instant::now()
}

/// `limits.pending`, which bounds what comes before anything is known.
const PENDING: usize = 1_000;

/// A shard whose viewers each take `cost` of its time, and key frames ten times as much as the rest.
struct Model {
    now: Instant,
    cost: f64,
    /// Other work, in parts of its time.
    other: f64,
    room: Room,
    sample: Sample,
    given: usize,
    /// What one that joins weighs, and takes in proportion.
    weight: f64,
    /// Of all that were given.
    weighs: f64,
    connected: usize,
    /// Viewers that connect in so many steps, and what they weigh.
    connecting: std::collections::VecDeque<(usize, f64)>,
    step: u64,
    /// Work that waits, in seconds.
    beside: f64,
    media: f64,
}

impl Model {
    fn new(cost: f64) -> Model {
        Model::with(cost, RoomLimits { busy: Some(0.9), rate: None })
    }

    fn with(cost: f64, limits: RoomLimits) -> Model {
        Model {
            now: start(),
            cost,
            other: 0.0,
            room: Room::new(limits),
            sample: Sample::default(),
            given: 0,
            weight: 1.0,
            weighs: 0.0,
            connected: 0,
            connecting: std::iter::repeat_n((0, 0.0), CONNECT).collect(),
            step: 0,
            beside: 0.0,
            media: 0.0,
        }
    }

    /// Lets 10 ms pass in which `joins` are wanted. Returns how many were refused.
    fn pass(&mut self, joins: usize) -> usize {
        self.now += STEP;
        self.step += 1;
        let sample = self.sample;
        // As the server looks once a second, and a join whenever it comes.
        if self.step.is_multiple_of(100) {
            self.room.learn(self.now, || sample);
        }
        let mut taken = 0;
        for _ in 0..joins {
            self.room.learn(self.now, || sample);
            let pending = self.given - self.connected;
            if pending < PENDING && self.check().is_ok() {
                self.given += 1;
                self.weighs += self.weight;
                taken += 1;
            }
        }
        self.connecting.push_back((taken, taken as f64 * self.weight));
        let (connected, weight) = self.connecting.pop_front().expect("always as many");
        self.sample.connects += connected as u64;
        self.connected += connected;
        self.sample.weight += weight;
        let step = STEP.as_secs_f64();
        // A key frame every two seconds, over a tenth of one.
        let shape = if self.step % 200 < 10 { 4.8 } else { 0.8 };
        let mean = self.sample.weight * self.cost * step;
        self.beside = (self.beside + mean * 0.06 + connected as f64 * JOIN + self.other * step).min(1.0);
        self.media = (self.media + mean * shape).min(1.0);
        // What does not fit waits, media longer.
        let beside = self.beside.min(step);
        let media = self.media.min(step - beside);
        (self.beside, self.media) = (self.beside - beside, self.media - media);
        self.sample.media_nanos += (media * 1e9) as u64;
        self.sample.busy_nanos += ((media + beside) * 1e9) as u64;
        self.sample.live_each = if self.given > 0 { 150_000 } else { 0 };
        joins - taken
    }

    fn run(&mut self, steps: usize, joins: usize) -> usize {
        (0..steps).map(|_| self.pass(joins)).sum()
    }

    /// Of those that weigh one.
    fn leave(&mut self, viewers: usize) {
        self.given -= viewers;
        self.connected -= viewers;
        self.weighs -= viewers as f64;
        self.sample.weight -= viewers as f64;
    }

    /// Whether one more has room.
    fn check(&mut self) -> Result<(), NoRoom> {
        self.room.check(3, self.given, self.weighs + self.weight)
    }

    /// What the viewers really take in the end.
    fn load(&self) -> f64 {
        self.weighs * self.cost * 1.06
    }
}

/// A core that carries 1,300.
const COST: f64 = 1.0 / 1.06 / 1_300.0;

#[test]
fn a_rush_that_the_core_carries_is_taken_at_once() {
    for watchers in [0, 10, 50] {
        let mut model = Model::new(COST);
        model.run(1, watchers);
        model.run(500, 0);
        let refused = model.run(200, 5);
        assert_eq!(refused, 0, "1,000 joins in 2 s with {watchers} watchers");
        model.run(300, 0);
        assert!(model.check().is_ok(), "the joins' own work closes nothing for good");
    }
}

#[test]
fn joins_of_any_speed_stop_before_the_core_is_full() {
    for per_second in [20, 50, 150, 400, 1_000] {
        let mut model = Model::new(COST);
        let mut refused = 0;
        for step in 0..30_000 / per_second * 10 {
            let wanted = |step: usize| step * per_second / 100;
            refused += model.pass(wanted(step + 1) - wanted(step));
        }
        let load = model.load();
        // A rush that is over before the second key frame is judged without what that costs.
        let most = if per_second < 400 { 0.95 } else { 1.15 };
        assert!((0.72..=most).contains(&load), "{} viewers at {per_second} a second: {load:.2}", model.given);
        assert!(refused > 0);
    }
}

#[test]
fn who_was_refused_is_taken_again_below_the_lower_mark_only() {
    let mut model = Model::new(COST);
    model.run(1_500, 2);
    let full = model.given;
    assert!((1_050..=1_240).contains(&full), "{full} viewers");
    // A few left: not yet, or the door would open and close all the time.
    model.leave(50);
    assert_eq!(model.run(300, 1), 300);
    model.leave(full - 50 - 900);
    assert_eq!(model.run(20, 1), 0, "900 of 1,300 are below 0.72");
}

#[test]
fn work_that_is_not_the_viewers_closes_the_door_while_it_lasts() {
    let mut model = Model::new(COST);
    model.run(100, 3);
    model.run(500, 0);
    model.other = 0.9;
    model.run(300, 0);
    let error = model.check().expect_err("a flood");
    assert_eq!((error.shard, error.viewers, error.mark), (3, 300, 90));
    assert!(error.percent > 90, "{error}");
    model.other = 0.0;
    model.run(1_500, 0);
    assert!(model.check().is_ok(), "over");
}

#[test]
fn work_beside_media_is_not_foretold_of_those_who_come() {
    let mut model = Model::new(COST);
    // Five watch, and an eighth of the core goes to something else.
    model.run(5, 1);
    model.run(500, 0);
    model.other = 0.125;
    model.run(2_000, 0);
    let foretold = model.room.expected(40, 40.0);
    assert!(foretold < 0.1, "{foretold}: forty would take what the flood takes");
    assert!(model.room.check(3, 39, 40.0).is_ok());
}

#[test]
fn a_line_that_is_used_up_has_no_room_though_the_core_has() {
    // 150 kB/s each on a line of 30 MB/s.
    let mut model = Model::with(COST, RoomLimits { busy: Some(0.9), rate: Some(30e6) });
    model.run(1_000, 1);
    assert!((140..=190).contains(&model.given), "{} of 200", model.given);
}

#[test]
fn a_rush_takes_as_many_as_the_line_carries_before_any_of_them_plays() {
    for per_step in [1, 20, 200] {
        let mut model = Model::with(COST, RoomLimits { busy: Some(0.9), rate: Some(30e6) });
        model.run(1, 1);
        model.run(1_000 / per_step, per_step);
        assert!((179..=180).contains(&model.given), "{} of 200 at {per_step} in 10 ms", model.given);
    }
}

#[test]
fn the_reason_says_the_mark_that_holds_now_and_counts_viewers_as_people_do() {
    let mut model = Model::with(COST, RoomLimits { busy: Some(0.9), rate: Some(300e3) });
    model.run(5, 1);
    let why = |model: &mut Model| model.check().expect_err("full").to_string();
    let full = why(&mut model);
    let wanted = "shard 3 has no room: with one more than its 1 viewer it would do 100 % of what it can; \
                  it takes no more over 90 % (limits.busy)";
    assert_eq!(full, wanted);
    // A little less is asked for: it is below the mark, and not yet by enough.
    model.sample.live_each = 120_000;
    let sample = model.sample;
    model.room.learn(model.now, || sample);
    let again = why(&mut model);
    assert!(again.contains("80 % of what it can; it takes no more over 72 %"), "{again}");
}

#[test]
fn nobody_is_taken_while_somebody_goes_without() {
    let mut model = Model::new(COST);
    model.run(100, 1);
    model.sample.without_media = 1;
    model.run(100, 0);
    assert!(model.check().is_err());
    model.sample.without_media = 0;
    model.run(100, 0);
    assert!(model.check().is_ok());
}

#[test]
fn without_a_limit_everybody_is_taken() {
    let mut model = Model::with(COST, RoomLimits { busy: None, rate: None });
    assert_eq!(model.run(1_000, 5), 0);
    assert!(model.load() > 3.0);
}

#[test]
fn who_comes_for_much_is_not_foretold_from_who_watches_little() {
    // A quarter of the core shows the low layer; then everybody comes at once for the high one, of eight times as much.
    let mut model = Model::new(COST / 8.0);
    model.run(260, 10);
    model.run(500, 0);
    assert_eq!(model.given, 2_600);
    model.weight = 8.0;
    let refused = model.run(10, 200);
    model.run(500, 0);
    assert!(refused > 0);
    assert!((0.7..=1.05).contains(&model.load()), "{:.2} of {} viewers", model.load(), model.given);
    // The other way round those who take little find the room that there is.
    let mut model = Model::new(COST / 8.0);
    model.weight = 8.0;
    model.run(65, 10);
    model.run(500, 0);
    model.weight = 1.0;
    assert_eq!(model.run(100, 20), 0, "{:.2} with 2,000 more", model.load());
}

#[test]
fn what_was_learnt_holds_where_all_are_weighed_anew() {
    let mut model = Model::new(COST);
    model.run(65, 10);
    model.run(500, 0);
    let before = model.room.expected(model.given, model.weighs);
    // Nothing was known of their streams, and now it is.
    model.room.reweigh(650.0, 5.0 * 650.0);
    let after = model.room.expected(model.given, 5.0 * model.weighs);
    assert!((before - after).abs() < 0.001 && (0.3..0.7).contains(&before), "{before} {after}");
}
