//! Asking a shard, from outside.
//!
//! Owns how long an asker waits: a shard that stands still is told as such.

use std::time::Duration;

use tokio::sync::oneshot;

use super::command::{Command, ShardBusy, ShardHandle};
use super::question::Question;
use crate::viewer::ViewerState;

/// How long an asker waits for one answer. A shard that goes round answers in milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// All viewers of a shard, asked for part by part. Who comes or goes meanwhile is in it or not.
///
/// # Errors
///
/// The shard does not take the question, or gives no answer within a second.
pub async fn viewers(shard: &ShardHandle) -> Result<Vec<ViewerState>, ShardBusy> {
    let mut all = Vec::new();
    let mut next = Some(0);
    while let Some(from) = next {
        let (answer, told) = oneshot::channel();
        shard.command(Command::Ask(Question::Viewers { from, answer }))?;
        let told = tokio::time::timeout(ANSWER_MAX, told).await;
        let Ok(Ok(some)) = told else { return Err(ShardBusy(shard.index)) };
        all.extend(some.viewers);
        next = some.next;
    }
    Ok(all)
}
