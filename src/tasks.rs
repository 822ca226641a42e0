//! Tasks of the executors by name: how many of each there are, and where they are spawned.
//!
//! Owns the count. An executor knows how many tasks it has, but not what they are.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Mutex;

use crate::contain::lock;

/// A kind of task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// What it does.
    pub name: &'static str,
    /// Where such tasks are spawned.
    pub spawned: &'static Location<'static>,
}

static ALIVE: Mutex<BTreeMap<Kind, usize>> = Mutex::new(BTreeMap::new());

/// All kinds of which there are tasks now, and how many.
pub fn alive() -> Vec<(Kind, usize)> {
    lock(&ALIVE).iter().filter(|(_, count)| **count > 0).map(|(kind, count)| (*kind, *count)).collect()
}

/// `task`, counted under `name` from here to its end.
#[track_caller]
pub fn named<T>(name: &'static str, task: impl Future<Output = T>) -> impl Future<Output = T> {
    let counted = Counted::new(Kind { name, spawned: Location::caller() });
    async move {
        let _counted = counted;
        task.await
    }
}

struct Counted(Kind);

impl Counted {
    fn new(kind: Kind) -> Counted {
        *lock(&ALIVE).entry(kind).or_default() += 1;
        Counted(kind)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(count) = lock(&ALIVE).get_mut(&self.0) {
            *count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str) -> usize {
        alive().iter().filter(|(kind, _)| kind.name == name).map(|(_, count)| count).sum()
    }

    #[tokio::test]
    async fn a_task_is_counted_from_its_making_to_its_end_or_loss() {
        let tasks = [(), ()].map(|()| named("waits for this test", std::future::pending::<()>()));
        assert_eq!(count("waits for this test"), 2);
        let (kind, _) = alive().into_iter().find(|(kind, _)| kind.name == "waits for this test").unwrap();
        assert!(kind.spawned.file().ends_with("tasks.rs"));
        drop(tasks);
        assert_eq!(count("waits for this test"), 0);
        assert_eq!(named("gives a number", async { 7 }).await, 7);
        assert_eq!(count("gives a number"), 0);
    }
}
