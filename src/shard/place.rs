//! Where a new viewer goes: which shard takes a join.
//!
//! Owns the choice, and the sentences for when there is none. Never counts viewers itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::command::ShardHandle;

/// Why no shard takes a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// None of them runs.
    #[error("none of the server's {0} shards runs: it has to be started again")]
    NoneRuns(usize),
}

/// The shard with the fewest viewers of those that take joins.
///
/// # Errors
///
/// [`NoPlace`] when a viewer would be lost on every one of them.
pub fn choose(shards: &[Arc<ShardHandle>]) -> Result<&Arc<ShardHandle>, NoPlace> {
    let able = shards.iter().filter(|shard| shard.health.is_able());
    able.min_by_key(|shard| shard.viewers.load(Ordering::Relaxed)).ok_or(NoPlace::NoneRuns(shards.len()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ops::counters::ShardCounters;
    use crate::shard::command::Wake;

    /// Shards with so many viewers each, whose threads all go round.
    fn shards(viewers: &[usize]) -> Vec<Arc<ShardHandle>> {
        let made = viewers.iter().enumerate().map(|(index, viewers)| {
            let poll = mio::Poll::new().unwrap();
            let wake = Wake::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
            let (commands, media) = (crossbeam_channel::bounded(1).0, crossbeam_channel::bounded(1).0);
            let counters = Arc::new(ShardCounters::default());
            let shard = ShardHandle::new(index, 1, counters, commands, media, Arc::new(wake));
            shard.viewers.store(*viewers, Ordering::Relaxed);
            Arc::new(shard)
        });
        made.collect()
    }

    /// A look at all of them, of which `awake` have gone round since the last.
    fn look(shards: &[Arc<ShardHandle>], awake: &[usize]) {
        awake.iter().for_each(|&index| shards[index].counters.wakeups.add(1));
        shards.iter().for_each(|shard| shard.look(Duration::from_secs(1)));
    }

    #[test]
    fn the_shard_with_the_fewest_viewers_takes_the_next() {
        let shards = shards(&[3, 1, 2]);
        assert_eq!(choose(&shards).map(|shard| shard.index), Ok(1));
    }

    #[test]
    fn one_that_ended_or_stands_still_takes_none_though_it_has_the_fewest() {
        let shards = shards(&[0, 1, 2]);
        look(&shards, &[0, 1, 2]);
        shards[0].health.set_gone();
        look(&shards, &[2]);
        assert_eq!(choose(&shards).map(|shard| shard.index), Ok(2));
        look(&shards, &[1, 2]);
        assert_eq!(choose(&shards).map(|shard| shard.index), Ok(1), "it goes round again");
        shards.iter().for_each(|shard| shard.health.set_gone());
        assert_eq!(choose(&shards).map(|shard| shard.index), Err(NoPlace::NoneRuns(3)));
    }
}
