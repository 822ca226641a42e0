//! What happens, as it is told to those who follow: a sample each second, states of streams, sessions that begin and end.
//!
//! Owns the shapes, and that who is too slow is told how much it missed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};
use utoipa::ToSchema;

use super::Operator;
use super::sample::Sample;
use crate::session::table::{Happened, What};
use crate::stream::{SourceState, StateChange};

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A second is over.
    Sample(Arc<Sample>),
    /// A stream is in another state.
    Stream(StreamEvent),
    /// A session began, connected or ended.
    Session(SessionEvent),
    /// Events were lost, because this follower did not take them in time.
    Lost(LostEvent),
}

/// A stream is in another state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamEvent {
    /// Which.
    pub name: String,
    /// `idle`, `connecting`, `starting`, `playing`, `waiting`, or `removed`.
    pub state: String,
    /// Why there is no picture, if that is known. No secret.
    pub error: Option<String>,
}

/// A session began, connected or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionEvent {
    /// Its short id.
    pub id: String,
    /// What it watches.
    pub stream: String,
    /// Whom the offer came from.
    pub address: String,
    /// `began`, `connected`, `ended`.
    pub state: String,
    /// Why it ended: a reason of `sluice_viewer_ends_total`.
    pub reason: Option<String>,
}

/// Events were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LostEvent {
    /// How many.
    pub count: u64,
}

/// One who follows.
pub struct Follow {
    samples: watch::Receiver<Option<Arc<Sample>>>,
    streams: broadcast::Receiver<StateChange>,
    sessions: broadcast::Receiver<Happened>,
}

impl Operator {
    /// Follows from now on, unless nothing more comes.
    pub fn follow(&self) -> Option<Follow> {
        let (streams, sessions) = (self.registry.changes.follow(), self.sessions.happens.follow());
        Some(Follow { samples: self.history.follow()?, streams, sessions })
    }
}

impl Follow {
    /// The next that happens; nothing once the server stops.
    pub async fn next(&mut self) -> Option<Event> {
        tokio::select! {
            changed = self.samples.changed() => {
                changed.ok()?;
                let sample = self.samples.borrow_and_update().clone()?;
                Some(Event::Sample(sample))
            }
            stream = self.streams.recv() => told(stream, |stream| Event::Stream(stream.into())),
            session = self.sessions.recv() => told(session, |session| Event::Session(session.into())),
        }
    }
}

fn told<T>(
    received: Result<T, broadcast::error::RecvError>,
    event: impl FnOnce(T) -> Event,
) -> Option<Event> {
    match received {
        Ok(happened) => Some(event(happened)),
        Err(broadcast::error::RecvError::Lagged(count)) => Some(Event::Lost(LostEvent { count })),
        Err(broadcast::error::RecvError::Closed) => None,
    }
}

impl From<StateChange> for StreamEvent {
    fn from(StateChange { stream, state }: StateChange) -> StreamEvent {
        let error = match &state {
            Some(SourceState::Waiting { error, .. }) => Some(error.clone()),
            Some(SourceState::Starting { why }) => Some(why.clone()),
            _ => None,
        };
        let state = state.as_ref().map_or("removed", SourceState::name).to_owned();
        StreamEvent { name: stream, state, error }
    }
}

impl From<Happened> for SessionEvent {
    fn from(Happened { id, stream, address, what }: Happened) -> SessionEvent {
        let (state, reason) = match what {
            What::Began => ("began", None),
            What::Connected => ("connected", None),
            What::Ended(reason) => ("ended", Some(reason.label().to_owned())),
        };
        let (id, address) = (id.to_string(), address.to_string());
        SessionEvent { id, stream, address, state: state.to_owned(), reason }
    }
}
