//! What the last ten minutes hold, from counters that a test turns.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::*;
use crate::client::Share;
use crate::operator::change::Changes;
use crate::operator::sample::ShardLoad;
use crate::operator::settings::Settings;
use crate::ops::levels::Levels;
use crate::ops::recent::Recent;
use crate::session::admission::{Admission, AdmissionLimits};
use crate::session::table::Sessions;
use crate::shard::place::tests::shards;
use crate::stream::Registry;
use crate::track::RecentLimits;

fn operator(count: usize) -> Operator {
    let shards = shards(&vec![3; count]);
    let registry = Registry::new(&shards, RecentLimits { bytes: 1, history: Duration::ZERO });
    let limits = AdmissionLimits {
        viewers: 10,
        viewers_per_stream: 0,
        pending: 10,
        share: Share(100),
        joins_per_second: 10,
        joins_of_stream: 0,
        joins: 0,
        egress_of_stream: 0,
        egress_of_client: 0,
    };
    let sessions = Sessions::new(Arc::new(Admission::new(limits)));
    Operator::new(
        Arc::new(registry),
        Arc::new(sessions),
        shards,
        (Settings::default(), Arc::default(), Changes::new().0),
        (Arc::<Recent>::default(), Arc::new(Levels::new("info").expect("a filter").0)),
    )
}

struct Clock(Instant, SystemTime);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
    fn new() -> Clock {
        Clock(Instant::now(), UNIX_EPOCH + Duration::from_secs(1_000_000))
    }

    fn pass(&mut self, operator: &Operator, time: Duration) {
        (self.0, self.1) = (self.0 + time, self.1 + time);
        operator.look(self.0, self.1);
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn rates_are_by_the_second_whatever_time_was_between_two_looks() {
    let (operator, mut clock) = (operator(2), Clock::new());
    clock.pass(&operator, Duration::ZERO);
    assert_eq!(operator.history.past(SAMPLES).samples, [], "one look has no rates");
    for shard in &operator.shards {
        shard.counters.egress_bytes.add(500_000);
        shard.counters.repairs_sent.add(3);
        shard.counters.connected.add(1);
        shard.counters.connected_now.set(1);
        shard.counters.feedback.video.loss.observe(0.1);
        shard.counters.setup.ice.observe(0.03);
        shard.counters.traffic.forward_delay.observe_times(0.0002, 99);
    }
    operator.shards[0].counters.feedback.video.loss.observe(0.4);
    clock.pass(&operator, 2 * SECOND);
    let sample = &operator.history.past(SAMPLES).samples[0];
    assert_eq!((sample.egress_bps, sample.repairs_ps, sample.viewers), (4_000_000, 3.0, 2));
    assert_eq!((sample.joins.connected, sample.loss), (1.0, Some(0.2)));
    assert_eq!((sample.joins.reached, sample.setup.ice_ms, sample.setup.dtls_ms), (1.0, Some(30.0), None));
    assert_eq!(
        (sample.forward_p50_ms, sample.forward_p99_ms),
        (Some(0.1), Some(0.198)),
        "within the first bucket"
    );
    assert_eq!(sample.at_ms, 1_000_002_000);
    let load = ShardLoad { busy: 0.0, viewers: 3, up: true };
    assert_eq!(sample.shards, [load, load].into());

    clock.pass(&operator, SECOND);
    let sample = &operator.history.past(SAMPLES).samples[1];
    assert_eq!((sample.egress_bps, sample.loss), (0, None), "nobody reported");
}

#[test]
fn ten_minutes_are_kept_and_no_more() {
    let (operator, mut clock) = (operator(1), Clock::new());
    (0..=2 * SAMPLES).for_each(|_| clock.pass(&operator, SECOND));
    let samples = operator.history.past(SAMPLES).samples;
    assert_eq!(samples.len(), SAMPLES);
    assert_eq!(operator.history.past(2).samples, samples[SAMPLES - 2..]);
    assert_eq!(samples[SAMPLES - 1].at_ms - samples[0].at_ms, 1_000 * (SAMPLES as u64 - 1));
}

#[test]
fn who_follows_sees_the_newest_and_is_told_of_the_end() {
    let (operator, mut clock) = (operator(1), Clock::new());
    let mut follows = operator.history.follow().expect("it runs");
    clock.pass(&operator, SECOND);
    assert!(!follows.has_changed().expect("it runs"));
    clock.pass(&operator, SECOND);
    assert!(follows.has_changed().expect("it runs"));
    let newest = follows.borrow_and_update().clone().expect("a sample");
    assert_eq!(vec![Sample::clone(&newest)], operator.history.past(SAMPLES).samples);
    operator.history.close();
    assert!(follows.has_changed().is_err());
    assert!(operator.history.follow().is_none());
}
