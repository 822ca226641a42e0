//! Sessions whose stream sends another codec than they have agreed to: those of a pair go to the layer that they can be
//! shown, and where there is none they end with that as the reason, and their players join anew. So do those that agreed to
//! no sound, because there was none to be known of, once there is some that their offers took.
//!
//! Owns the look at a stream's sessions, each time that it begins to play.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;

use super::table::{Session, Sessions};
use crate::count::EndReason;
use crate::id::SessionId;
use crate::shard::command::Command;
use crate::stream::{Layer, Registry, SourceState, StateChange, Stream};

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

/// Sends the sessions of a pair to the layer that they are to be shown, and ends those of `stream` that its sources have
/// outgrown. One that cannot be told now gets what it can show, and is looked at again when a source comes back the next
/// time.
pub fn look(sessions: &Sessions, stream: &Stream) {
    if stream.is_pair() {
        for (id, session) in sessions.all_of(stream.id) {
            settle(sessions, id, &session);
        }
    }
    let layers = stream.layers();
    if !layers.iter().any(|layer| layer.plays()) {
        return;
    }
    let reason = EndReason::CodecChanged;
    let outdated = sessions.which(|session| session.stream.id == stream.id && is_outdated(session, &layers));
    let told = outdated.into_iter().filter(|(id, shard)| shard.command(Command::End(*id, reason)).is_ok());
    let ended = told.inspect(|(id, _)| sessions.mark(*id, reason)).count();
    if ended > 0 {
        tracing::info!(
            stream = stream.name,
            viewers = ended,
            "the stream sends what its viewers have not agreed to: another codec, or sound where there was none. They join anew"
        );
    }
}

/// Whether a session ends: none of the stream's layers can be shown to it, or what it could hear came later than it did. Of a pair one that is only away is waited for, as a
/// stream with one layer is; and sound that goes to the other layer and comes back ends nothing.
fn is_outdated(session: &Session, layers: &[Arc<Layer>]) -> bool {
    if session.stream.sound().is_some_and(|codec| session.agreed.misses(codec)) {
        return true;
    }
    match layers {
        [layer] => session.stream.playable(layer).is_some_and(|formats| !session.agreed.fits(&formats)),
        layers => !layers.iter().any(|layer| layer.status().formats.is_some() && session.takes(layer)),
    }
}

/// Sends a session of a pair to the layer that it wants if it can be shown that, else to one that it can be shown.
pub fn settle(sessions: &Sessions, id: SessionId, session: &Session) {
    let takes = |layer: &Arc<Layer>| session.takes(layer);
    let wanted = session.stream.layer(session.wanted);
    let Some(best) = wanted.into_iter().chain(session.stream.layers()).find(takes) else { return };
    // One for whom there is no room in the other layer stays.
    if best.id == session.layer || session.place.change(best.bits()).is_err() {
        return;
    }
    if let Ok(Some(session)) = sessions.send_to(id, best.id) {
        // A shard that does not keep up goes on with what it has, and the next look is another try.
        let _ = session.shard.command(Command::Choose { session: id, layer: best.id.number });
    }
}

#[cfg(test)]
#[path = "outdated_tests.rs"]
mod tests;
