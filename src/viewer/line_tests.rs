//! A line as a fluid: what is sent beyond its width waits, and what has no room is lost.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Bytes of pictures a second.
const STREAM: f64 = 250_000.0;

#[expect(clippy::disallowed_methods, reason = "virtual time has to start somewhere")]
fn start() -> Instant {
    Instant::now()
}

/// What is before a viewer, and what is known of it.
struct Way {
    line: Line,
    now: Instant,
    /// Bytes a second, and those of its queue.
    width: f64,
    room: f64,
    queue: f64,
    /// Lost at random.
    bad: f64,
}

/// What a second was.
#[derive(Debug, Clone, Copy)]
struct Second {
    sent: f64,
    loss: f64,
    limited: bool,
}

impl Way {
    fn new(width: f64) -> Way {
        Way { line: Line::default(), now: start(), width, room: width * 0.3, queue: 0.0, bad: 0.0 }
    }

    fn run(&mut self, seconds: u32) -> Vec<Second> {
        (0..seconds).map(|_| self.second(SECOND)).collect()
    }

    fn second(&mut self, passed: Duration) -> Second {
        let limit = self.line.limit();
        let sent = limit.map_or(STREAM, |limit| STREAM.min(f64::from(limit)));
        self.queue = (self.queue + sent - self.width).max(0.0);
        let dropped = (self.queue - self.room).max(0.0);
        self.queue -= dropped;
        let loss = (dropped / sent).max(self.bad);
        self.now += passed;
        let round_trip = Duration::from_secs_f64(0.02 + self.queue / self.width);
        let told =
            Told { passed, sent: (sent * passed.as_secs_f64()) as u32, loss, round_trip: Some(round_trip) };
        let pause = self.line.handle_report(self.now, told, None, STREAM as u64).unwrap_or_default();
        self.queue = (self.queue - pause.as_secs_f64() * self.width).max(0.0);
        Second { sent, loss, limited: limit.is_some() }
    }
}

fn mean(seconds: &[Second], of: impl Fn(&Second) -> f64) -> f64 {
    seconds.iter().map(of).sum::<f64>() / seconds.len() as f64
}

#[test]
fn a_line_that_carries_the_stream_is_never_limited() {
    for part in [1.05, 1.2, 2.0, 10.0] {
        let mut way = Way::new(STREAM * part);
        assert!(way.run(600).iter().all(|second| !second.limited), "{part}");
    }
}

#[test]
fn a_narrow_line_is_filled_and_not_overrun() {
    for part in [0.2, 0.5, 0.8, 0.95] {
        let mut way = Way::new(STREAM * part);
        way.run(10);
        let seconds = way.run(300);
        assert!(seconds.iter().all(|second| second.limited), "{part}");
        let filled = mean(&seconds, |second| second.sent) / way.width;
        assert!((0.85..1.0).contains(&filled), "{part}: {filled} of its width");
        let loss = mean(&seconds, |second| second.loss);
        assert!(loss < 0.01, "{part}: {loss} lost");
    }
}

#[test]
fn what_a_line_carries_bounds_what_is_sent_again() {
    let mut way = Way::new(STREAM / 2.0);
    assert_eq!(way.line.carries(), None);
    way.second(SECOND);
    way.second(SECOND);
    let carries = way.line.carries().expect("told");
    assert!(carries <= (way.width * 1.3) as u32, "{carries}");
}

#[test]
fn a_line_that_is_free_again_gets_everything_soon() {
    let mut way = Way::new(STREAM / 2.0);
    way.run(120);
    way.width = STREAM * 10.0;
    let seconds = way.run(60);
    let whole = seconds.iter().position(|second| second.sent >= STREAM).expect("everything");
    assert!(whole <= 30, "after {whole} s");
    assert_eq!(way.line.limit(), None);
    assert!(way.run(60).iter().all(|second| !second.limited));
}

#[test]
fn loss_without_a_queue_is_not_a_narrow_line() {
    for bad in [0.02, 0.05, 0.09] {
        let mut way = Way::new(STREAM * 10.0);
        way.bad = bad;
        assert!(way.run(300).iter().all(|second| !second.limited), "{bad}");
    }
    // So much may be either. Less is tried, and is no better.
    for bad in [0.15, 0.25, 0.4] {
        let mut way = Way::new(STREAM * 10.0);
        way.bad = bad;
        let seconds = way.run(300);
        let limited = seconds.iter().filter(|second| second.sent < STREAM).count();
        assert!((1..6).contains(&limited), "{bad}: {limited} s");
    }
}

#[test]
fn an_outage_and_a_single_loss_say_nothing_of_the_width() {
    let mut way = Way::new(STREAM * 10.0);
    way.run(10);
    way.bad = 0.9;
    way.second(SECOND * 5);
    way.second(SECOND);
    way.bad = 0.0;
    assert!(way.run(10).iter().all(|second| !second.limited));
}

#[test]
fn an_estimate_counts_only_together_with_loss() {
    let told = |loss| Told { passed: SECOND, sent: STREAM as u32, loss, round_trip: None };
    let mut line = Line::default();
    let mut now = start();
    for _ in 0..60 {
        now += SECOND;
        line.handle_report(now, told(0.01), Some(STREAM / 2.0), STREAM as u64);
        assert_eq!(line.limit(), None, "keyframes look like a jam");
    }
    for _ in 0..2 {
        now += SECOND;
        line.handle_report(now, told(0.06), Some(STREAM / 2.0), STREAM as u64);
    }
    assert_eq!(line.limit(), Some((STREAM * 0.94 * BELOW) as u32));
}

#[test]
fn who_is_limited_again_soon_stays_limited_for_longer_and_longer() {
    // Carries the stream when keyframes are spread out, and not when they go at once.
    let mut way = Way::new(STREAM * 10.0);
    let mut opened = 0;
    for _ in 0..1_200 {
        let limited = way.line.limit().is_some();
        way.bad = if limited { 0.0 } else { 0.3 };
        way.second(SECOND);
        opened += u32::from(limited && way.line.limit().is_none());
    }
    assert!((2..=10).contains(&opened), "{opened} times in twenty minutes");
}
