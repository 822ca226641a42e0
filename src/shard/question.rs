//! Questions to a shard that have an answer.
//!
//! Owns how much one answer holds: none of its viewers is late because somebody is curious.

use tokio::sync::oneshot;

use crate::viewer::ViewerState;

/// Viewers in one answer. Each is about 100 ns of its shard's time; more of them delay media, fewer make a list of
/// thousands longer to ask for.
pub const VIEWERS_AT_ONCE: usize = 256;

/// What is asked.
#[derive(Debug)]
pub enum Question {
    /// Its viewers.
    Viewers {
        /// Where to begin: 0, or what the last answer said.
        from: usize,
        /// Where the answer goes. Nobody may be there any more.
        answer: oneshot::Sender<SomeViewers>,
    },
}

/// A part of a shard's viewers.
#[derive(Debug, Default)]
pub struct SomeViewers {
    /// At most [`VIEWERS_AT_ONCE`].
    pub viewers: Vec<ViewerState>,
    /// Where the next part begins, if there is one.
    pub next: Option<usize>,
}
