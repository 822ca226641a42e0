//! What happens, told to whoever follows. Nobody waits for a follower: one that is too slow misses the oldest, and is told
//! how many.

use tokio::sync::broadcast;

/// Events that wait for a follower, some 200 bytes each. More let a slow one be later; fewer tell it of gaps.
const KEPT: usize = 1_024;

/// Where one kind of thing is told.
#[derive(Debug)]
pub struct Feed<T>(broadcast::Sender<T>);

impl<T: Clone> Default for Feed<T> {
    fn default() -> Feed<T> {
        Feed(broadcast::Sender::new(KEPT))
    }
}

impl<T: Clone> Feed<T> {
    /// Tells it, if anybody follows; it is made only then.
    pub fn tell(&self, event: impl FnOnce() -> T) {
        if self.0.receiver_count() > 0 {
            // Whoever followed has left: nobody missed it.
            let _ = self.0.send(event());
        }
    }

    /// Follows from now on.
    pub fn follow(&self) -> broadcast::Receiver<T> {
        self.0.subscribe()
    }
}
