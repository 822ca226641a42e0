//! Where a new viewer goes: which shard takes a join.
//!
//! Owns the choice, and the sentences for when there is none. Never counts viewers itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::command::ShardHandle;
use super::room::NoRoom;
use super::weight::Weight;

/// Why no shard takes a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// None of them runs.
    #[error("none of the server's {0} shards runs: it has to be started again")]
    NoneRuns(usize),
    /// None that runs could serve one viewer more; this is of the one with the fewest.
    #[error("{0}; those who watch go on watching: try again later")]
    NoRoom(NoRoom),
}

/// Whether any shard runs that could take a join, with room or without.
///
/// # Errors
///
/// [`NoPlace::NoneRuns`] if not.
pub fn any_runs(shards: &[Arc<ShardHandle>]) -> Result<(), NoPlace> {
    let none = NoPlace::NoneRuns(shards.len());
    shards.iter().any(|shard| shard.health.is_able()).then_some(()).ok_or(none)
}

/// Of the shards that take joins and have room `now` for a viewer of that weight, the one with the fewest viewers.
///
/// # Errors
///
/// [`NoPlace`] when a viewer would be lost on every one of them.
pub fn choose(
    now: Instant,
    shards: &[Arc<ShardHandle>],
    weight: Weight,
) -> Result<&Arc<ShardHandle>, NoPlace> {
    let viewers = |shard: &&Arc<ShardHandle>| shard.viewers.load(Ordering::Relaxed);
    let able = || shards.iter().filter(|shard| shard.health.is_able());
    let with_room = able().filter(|shard| shard.check_room(now, weight).is_ok());
    if let Some(shard) = with_room.min_by_key(viewers) {
        return Ok(shard);
    }
    let Some(fewest) = able().min_by_key(viewers) else { return Err(NoPlace::NoneRuns(shards.len())) };
    match fewest.check_room(now, weight) {
        // It got room in between.
        Ok(()) => Ok(fewest),
        Err(why) => {
            fewest.refused.add_shared(1);
            Err(NoPlace::NoRoom(why))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::count::ShardCounters;
    use crate::shard::RoomLimits;
    use crate::shard::command::Wake;

    /// What each viewer weighs.
    const ANY: Weight = Weight::of(2_000_000);

    /// Shards with so many viewers each, whose threads all go round.
    pub(crate) fn shards(viewers: &[usize]) -> Vec<Arc<ShardHandle>> {
        let made = viewers.iter().enumerate().map(|(index, viewers)| {
            let poll = mio::Poll::new().unwrap();
            let wake = Wake::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
            let (commands, media) = (crossbeam_channel::bounded(1).0, crossbeam_channel::bounded(1).0);
            let counters = Arc::new(ShardCounters::default());
            let room = RoomLimits { busy: Some(0.9), rate: None };
            let shard = ShardHandle::new(index, (1, None), counters, commands, media, Arc::new(wake), room);
            shard.viewers.store(*viewers, Ordering::Relaxed);
            (0..*viewers).for_each(|_| shard.load.give(ANY));
            Arc::new(shard)
        });
        made.collect()
    }

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_shard_with_the_fewest_viewers_takes_the_next() {
        let shards = shards(&[3, 1, 2]);
        assert_eq!(choose(now(), &shards, ANY).map(|shard| shard.index), Ok(1));
    }

    #[test]
    fn one_without_room_is_passed_over_and_without_any_the_refusal_says_why() {
        let shards = shards(&[1, 2]);
        let mut now = now();
        // Half a second in which some of them work all the time for two viewers.
        let mut work = |busy: &[usize]| {
            shards.iter().for_each(|shard| shard.learn(now));
            now += Duration::from_millis(500);
            for shard in busy.iter().map(|&index| &shards[index]) {
                if shard.load.connected() == 0.0 {
                    (0..2).for_each(|_| shard.load.connect(ANY));
                }
                shard.counters.busy_nanos.add(500_000_000);
                shard.counters.media_nanos.add(500_000_000);
            }
            shards.iter().for_each(|shard| shard.learn(now));
            now
        };
        let at = work(&[0]);
        assert_eq!(choose(at, &shards, ANY).map(|shard| shard.index), Ok(1), "though it has more viewers");
        let at = work(&[0, 1]);
        let why = choose(at, &shards, ANY).err().map(|why| why.to_string()).unwrap_or_default();
        let sentence = why.starts_with("shard 0 has no room: with one more than its 1 viewer ");
        assert!(sentence && why.contains("limits.busy"), "{why:?}");
        assert_eq!(shards.iter().map(|shard| shard.refused.get()).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn one_that_ended_or_stands_still_takes_none_though_it_has_the_fewest() {
        let shards = shards(&[0, 1, 2]);
        shards[0].health.set_gone();
        shards[1].health.set_stuck(true);
        assert_eq!(choose(now(), &shards, ANY).map(|shard| shard.index), Ok(2));
        shards[1].health.set_stuck(false);
        assert_eq!(choose(now(), &shards, ANY).map(|shard| shard.index), Ok(1), "it goes round again");
        shards.iter().for_each(|shard| shard.health.set_gone());
        assert_eq!(choose(now(), &shards, ANY).map(|shard| shard.index), Err(NoPlace::NoneRuns(3)));
    }
}
