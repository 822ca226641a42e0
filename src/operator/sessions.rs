//! Viewers one by one: what is told of each, the worst first, and the end of one.
//!
//! Owns the shapes, the order and the words. Shards are asked part by part (`shard::ask`), and one that gives no answer
//! is named instead of waited for. What HTTP knows of a viewer comes from its session.

use std::cmp::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Operator;
use super::sample::round;
use crate::count::EndReason;
use crate::id::ShortId;
use crate::session::visitor::Visitor;
use crate::shard::ask;
use crate::shard::command::{Command, ShardBusy, ShardHandle};
use crate::viewer::ViewerState;

/// Viewers in one list at the most. A longer one helps nobody to find the worst, and holds the executor that
/// answers health checks.
pub const LISTED_MAX: usize = 1_000;

/// Which viewers are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Those of this stream.
    pub stream: Option<String>,
    /// Those with this short id.
    pub session: Option<ShortId>,
    /// In what order.
    pub sort: Sort,
    /// How many are passed over.
    pub offset: usize,
    /// How many.
    pub limit: usize,
}

/// The order of viewers: what is worst comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// By the part of packets that was lost lately, then by all that were lost.
    #[default]
    Loss,
    /// By round trip.
    RoundTrip,
    /// By packets sent again.
    Repairs,
    /// By estimate, the lowest first.
    Estimate,
    /// By time, the newest first.
    Since,
}

impl Sort {
    /// All orders by their names in a query.
    pub const NAMES: [(&str, Sort); 5] = [
        ("loss", Sort::Loss),
        ("round_trip", Sort::RoundTrip),
        ("repairs", Sort::Repairs),
        ("estimate", Sort::Estimate),
        ("since", Sort::Since),
    ];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Sort> {
        Sort::NAMES.iter().find(|(other, _)| *other == name).map(|(_, sort)| *sort)
    }

    /// Whether `a` comes before `b`. What was not measured comes last.
    fn order(self, a: &Row, b: &Row) -> Ordering {
        let greatest = |a: Option<f64>, b: Option<f64>| b.unwrap_or(-1.0).total_cmp(&a.unwrap_or(-1.0));
        let least = |a: Option<u64>, b: Option<u64>| a.unwrap_or(u64::MAX).cmp(&b.unwrap_or(u64::MAX));
        let by = match self {
            Sort::Loss => greatest(a.loss, b.loss).then(b.lost.cmp(&a.lost)),
            Sort::RoundTrip => greatest(a.round_trip_ms, b.round_trip_ms),
            Sort::Repairs => b.repairs.cmp(&a.repairs),
            Sort::Estimate => least(a.estimate_bps, b.estimate_bps),
            Sort::Since => b.since_ms.cmp(&a.since_ms),
        };
        // The same order at each look, whatever order shards answer in.
        by.then_with(|| a.since_ms.cmp(&b.since_ms)).then_with(|| a.id.cmp(&b.id))
    }
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Sessions)]
pub struct List {
    /// How many there are that were asked for.
    pub total: usize,
    /// Those asked for.
    pub sessions: Vec<Row>,
    /// Shards that gave no answer: their viewers are missing here.
    pub silent_shards: Vec<usize>,
    /// Those that ended in the last ten minutes, the latest first; of a session if one is asked for.
    pub ended: Vec<Ended>,
}

/// One viewer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Session)]
pub struct Row {
    /// The short id of its session.
    pub id: String,
    /// What it watches.
    pub stream: String,
    /// Of a pair the layer that it is sent now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// The shard that serves it.
    pub shard: usize,
    /// Whom the offer came from.
    pub address: String,
    /// What its program calls itself.
    pub client: String,
    /// When the offer came, in milliseconds since 1970.
    pub since_ms: u64,
    /// Whether ICE and DTLS are up.
    pub connected: bool,
    /// Where media goes; nothing while it is silent, or not connected.
    pub path: Option<PathRow>,
    /// The round trip, if it was measured.
    pub round_trip_ms: Option<f64>,
    /// The part of packets between its last two reports that was lost before repair, 0 to 1.
    pub loss: Option<f64>,
    /// All packets that it lost before repair.
    pub lost: u32,
    /// Packets that it was sent, without repairs.
    pub packets: u32,
    /// Packets that it was sent again.
    pub repairs: u32,
    /// What it thinks its line carries (REMB), in bits a second.
    pub estimate_bps: Option<u64>,
    /// What it is limited to, in bits of pictures a second, because its line carries no more: it gets keyframes, and as
    /// much of each group of pictures as fits.
    pub limit_bps: Option<u64>,
    /// Pictures that it was not sent for that.
    pub left_out: u32,
    /// Whether its sound goes twice (RED), because it loses some.
    #[serde(default)]
    pub redundant_sound: bool,
}

/// The pair of addresses that media takes (RFC 8445 §5.1.2, as an ICE-lite agent sees it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MediaPath)]
pub struct PathRow {
    /// The viewer's.
    pub remote: String,
    /// Ours.
    pub local: String,
}

/// A viewer that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = EndedSession)]
pub struct Ended {
    /// The short id of its session.
    pub id: String,
    /// What it watched.
    pub stream: String,
    /// Whom the offer came from.
    pub address: String,
    /// What its program calls itself.
    pub client: String,
    /// When the offer came, in milliseconds since 1970.
    pub since_ms: u64,
    /// When it ended.
    pub ended_ms: u64,
    /// Why: a reason of `sluice_viewer_ends_total`.
    pub reason: String,
    /// Whether it ever connected.
    pub connected: bool,
}

/// Why nobody was ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndError {
    /// There is none.
    #[error("there is no viewer {0}: it has ended, or never was; /api/v1/sessions lists those there are")]
    None(ShortId),
    /// Chance gave one id to several.
    #[error("{1} viewers are called {0}: none of them is ended")]
    Several(ShortId, usize),
    /// Its shard does not keep up.
    #[error(transparent)]
    Busy(#[from] ShardBusy),
}

/// From instants to milliseconds since 1970.
#[derive(Clone, Copy)]
struct Calendar {
    now: Instant,
    date: SystemTime,
}

impl Calendar {
    fn ms(self, at: Instant) -> u64 {
        let ago = self.now.saturating_duration_since(at);
        let date = self.date.checked_sub(ago).unwrap_or(UNIX_EPOCH);
        date.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
    }
}

impl Operator {
    /// The viewers asked for. `now` and `date` are the same moment.
    pub async fn viewers(&self, which: &Which, now: Instant, date: SystemTime) -> List {
        let calendar = Calendar { now, date };
        let told = join_all(self.shards.iter().map(|shard| ask::viewers(shard))).await;
        let mut list = List::default();
        let mut rows = Vec::new();
        for (shard, told) in self.shards.iter().zip(told) {
            let Ok(states) = told else {
                list.silent_shards.push(shard.index);
                continue;
            };
            let known = self.sessions.of(states.iter().map(|state| state.session));
            // Who has no session any more is about to go.
            let both = states.iter().zip(known).filter_map(|(state, known)| Some((state, known?)));
            let both = both.filter(|(state, (stream, _))| {
                which.stream.as_ref().is_none_or(|wanted| wanted == stream)
                    && which.session.is_none_or(|wanted| wanted == state.session.short())
            });
            let is_pair = |name: &str| self.registry.stream(name).is_some_and(|stream| stream.is_pair());
            rows.extend(both.map(|(state, (stream, visitor))| {
                let layer = is_pair(&stream).then(|| state.layer.name().to_owned());
                Row { layer, ..Row::of(state, stream, &visitor, shard, calendar) }
            }));
        }
        rows.sort_unstable_by(|a, b| which.sort.order(a, b));
        list.total = rows.len();
        rows.drain(..which.offset.min(rows.len()));
        rows.truncate(which.limit.min(LISTED_MAX));
        list.sessions = rows;
        list.ended = self.ended(which, calendar);
        list
    }

    fn ended(&self, which: &Which, calendar: Calendar) -> Vec<Ended> {
        let gone = self.sessions.gone(calendar.now).into_iter();
        let wanted = gone.filter(|gone| {
            which.stream.as_ref().is_none_or(|wanted| *wanted == gone.stream)
                && which.session.is_none_or(|wanted| wanted == gone.id.short())
        });
        let wanted = wanted.take(which.limit.min(LISTED_MAX)).map(|gone| Ended {
            id: gone.id.short().to_string(),
            stream: gone.stream,
            address: gone.visitor.address.to_string(),
            client: gone.visitor.agent.into(),
            since_ms: calendar.ms(gone.visitor.since),
            ended_ms: calendar.ms(gone.ended),
            reason: gone.reason.label().to_owned(),
            connected: gone.connected,
        });
        wanted.collect()
    }

    /// Ends a viewer: it is told goodbye, and its player may join again.
    ///
    /// # Errors
    ///
    /// [`EndError`]: nobody was ended.
    pub fn end(&self, id: ShortId) -> Result<(), EndError> {
        let mut called = self.sessions.called(id);
        let Some((session, held)) = called.pop() else { return Err(EndError::None(id)) };
        if !called.is_empty() {
            return Err(EndError::Several(id, called.len() + 1));
        }
        held.shard.command(Command::End(session, EndReason::Operator))?;
        self.sessions.mark(session, EndReason::Operator);
        let (stream, remote) = (&held.stream.name, held.visitor.address);
        tracing::info!(?session, stream, %remote, reason = EndReason::Operator.label(), "an operator ended a viewer");
        Ok(())
    }
}

impl Row {
    fn of(
        state: &ViewerState,
        stream: String,
        visitor: &Visitor,
        shard: &ShardHandle,
        calendar: Calendar,
    ) -> Row {
        let path = state.path.map(|path| {
            let host = path.local.map_or("*".to_owned(), |local| match local {
                std::net::IpAddr::V6(v6) => format!("[{v6}]"),
                v4 => v4.to_string(),
            });
            let port = shard.port_of(&path.remote);
            PathRow { remote: path.remote.to_string(), local: format!("{host}:{port}") }
        });
        Row {
            id: state.session.short().to_string(),
            stream,
            layer: None,
            shard: shard.index,
            address: visitor.address.to_string(),
            client: visitor.agent.clone().into(),
            since_ms: calendar.ms(state.since),
            connected: state.connected,
            path,
            round_trip_ms: state.track.round_trip.map(|trip| round(trip.as_secs_f64() * 1e3)),
            loss: state.track.loss.map(|loss| round(loss.into())),
            lost: state.track.lost,
            packets: state.track.packets,
            repairs: state.track.repairs,
            estimate_bps: state.estimate.map(|estimate| estimate as u64),
            limit_bps: state.limit,
            left_out: state.track.left_out,
            redundant_sound: state.redundant,
        }
    }
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
