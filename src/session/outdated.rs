//! Sessions whose stream sends another codec than they have agreed to: they end with that as the reason, and their players
//! join anew.
//!
//! Owns the look at a stream's sessions, each time that it begins to play.

use tokio::sync::broadcast::error::RecvError;

use super::table::{Session, Sessions};
use crate::count::EndReason;
use crate::shard::command::Command;
use crate::stream::{Formats, Registry, SourceState, StateChange, Stream};

/// Looks whenever a stream begins to play, for as long as it is polled.
pub async fn watch(registry: &Registry, sessions: &Sessions) {
    let mut changes = registry.changes.follow();
    loop {
        match changes.recv().await {
            Ok(StateChange { stream, state: Some(SourceState::Playing) }) => {
                registry.stream(&stream).iter().for_each(|stream| look(sessions, stream));
            }
            Ok(_) => {}
            // What was missed may have been any of them.
            Err(RecvError::Lagged(_)) => registry.streams().iter().for_each(|stream| look(sessions, stream)),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Ends the sessions of `stream` that its source has outgrown. One that cannot be ended now gets what it can show, and is
/// looked at again when the source comes back the next time.
pub fn look(sessions: &Sessions, stream: &Stream) {
    let mut formats: Vec<Formats> =
        stream.layers().iter().filter_map(|layer| stream.playable(layer)).collect();
    // Of a pair one that fits is enough; and sound that goes to the other one and comes back ends nothing.
    if stream.is_pair() {
        formats.iter_mut().for_each(|formats| formats.audio = None);
    }
    if formats.is_empty() {
        return;
    }
    let fits = |session: &Session| formats.iter().any(|formats| session.agreed.fits(formats));
    let reason = EndReason::CodecChanged;
    let outdated = sessions.which(|session| session.stream.id == stream.id && !fits(session));
    let told = outdated.into_iter().filter(|(id, shard)| shard.command(Command::End(*id, reason)).is_ok());
    let ended = told.inspect(|(id, _)| sessions.mark(*id, reason)).count();
    if ended > 0 {
        tracing::info!(
            stream = stream.name,
            viewers = ended,
            "the source sends another codec now: its viewers join anew"
        );
    }
}
