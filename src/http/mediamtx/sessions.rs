//! Viewers as MediaMTX's WebRTC sessions.
//!
//! Owns the shape, and what the shards are asked for it: once for an answer, however many sessions are in it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use futures::future::join_all;
use serde::Serialize;

use super::rfc3339;
use crate::id::{SessionId, StreamId};
use crate::operator::Operator;
use crate::session::visitor::Visitor;
use crate::shard::ask;
use crate::shard::command::ShardHandle;
use crate::viewer::{Sent, ViewerState};

/// A session. What only somebody who sends to the server has is zero.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    /// A UUID.
    pub(super) id: String,
    created: String,
    /// Whom the offer came from, with the port of its media ([`remote_addr`]).
    pub(super) remote_addr: String,
    peer_connection_established: bool,
    /// `host/udp/192.0.2.1/8189`; empty before media has a way.
    local_candidate: String,
    remote_candidate: String,
    /// `read`: nobody publishes here.
    pub(super) state: &'static str,
    /// The stream.
    pub(super) path: String,
    /// Never told: it may hold a token.
    query: &'static str,
    user: String,
    user_agent: String,
    #[serde(flatten)]
    pub(super) traffic: Traffic,
}

/// What went in and out, by their names and by those that they had before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Traffic {
    inbound_bytes: u64,
    #[serde(rename = "inboundRTPPackets")]
    inbound_rtp_packets: u64,
    #[serde(rename = "inboundRTPPacketsLost")]
    inbound_rtp_packets_lost: u64,
    #[serde(rename = "inboundRTPPacketsJitter")]
    inbound_rtp_packets_jitter: u64,
    #[serde(rename = "inboundRTCPPackets")]
    inbound_rtcp_packets: u64,
    pub(super) outbound_bytes: u64,
    #[serde(rename = "outboundRTPPackets")]
    pub(super) outbound_rtp_packets: u64,
    #[serde(rename = "outboundRTCPPackets")]
    outbound_rtcp_packets: u64,
    outbound_frames_discarded: u64,
    bytes_received: u64,
    bytes_sent: u64,
    rtp_packets_received: u64,
    rtp_packets_sent: u64,
    rtp_packets_lost: u64,
    rtp_packets_jitter: u64,
    rtcp_packets_received: u64,
    rtcp_packets_sent: u64,
}

impl From<Sent> for Traffic {
    fn from(Sent { bytes, packets }: Sent) -> Traffic {
        Traffic {
            outbound_bytes: bytes,
            outbound_rtp_packets: packets,
            bytes_sent: bytes,
            rtp_packets_sent: packets,
            ..Traffic::default()
        }
    }
}

/// All sessions, and what shards tell of their viewers.
pub(super) struct Outgoing {
    sessions: Vec<Known>,
}

struct Known {
    id: SessionId,
    stream: (StreamId, String),
    visitor: Visitor,
    shard: Arc<ShardHandle>,
    state: Option<ViewerState>,
}

impl Outgoing {
    /// Asks every shard. Of one that does not answer the viewers are there without what they were sent.
    pub(super) async fn of(operator: &Operator) -> Outgoing {
        let told = join_all(operator.shards.iter().map(|shard| ask::viewers(shard))).await;
        let states = told.into_iter().flatten().flatten().map(|state| (state.session, state));
        let mut states: HashMap<SessionId, ViewerState> = states.collect();
        let known = operator.sessions.all().into_iter().map(|(id, session)| Known {
            id,
            stream: (session.stream.id, session.stream.name.clone()),
            visitor: session.visitor,
            shard: session.shard,
            state: states.remove(&id),
        });
        let mut sessions: Vec<Known> = known.collect();
        sessions.sort_unstable_by_key(|known| (known.visitor.since, known.id.0));
        Outgoing { sessions }
    }

    /// All of them, the oldest first; `now` and `date` are the same moment.
    pub(super) fn sessions(&self, (now, date): (Instant, SystemTime)) -> Vec<Session> {
        let date_of = |at: Instant| date.checked_sub(now.saturating_duration_since(at)).unwrap_or(date);
        self.sessions.iter().map(|known| known.told(date_of(known.visitor.since))).collect()
    }

    /// Ids of those who watch a stream.
    pub(super) fn readers(&self, stream: StreamId) -> impl Iterator<Item = String> {
        self.of_stream(stream).map(|known| known.id.short().uuid())
    }

    /// What they were sent so far.
    pub(super) fn sent(&self, stream: StreamId) -> u64 {
        self.of_stream(stream).filter_map(|known| Some(known.state.as_ref()?.sent.bytes)).sum()
    }

    fn of_stream(&self, stream: StreamId) -> impl Iterator<Item = &Known> {
        self.sessions.iter().filter(move |known| known.stream.0 == stream)
    }
}

impl Known {
    fn told(&self, created: SystemTime) -> Session {
        let path = self.state.as_ref().and_then(|state| state.path);
        let remote = path.map(|path| path.remote);
        let is_tcp = remote.is_some_and(|remote| remote.connection.is_some());
        let protocol = if is_tcp { "tcp" } else { "udp" };
        let local =
            path.and_then(|path| Some(SocketAddr::new(path.local?, self.shard.port_of(&path.remote))));
        Session {
            id: self.id.short().uuid(),
            created: rfc3339(created),
            remote_addr: remote_addr(self.visitor.address, remote.map(|remote| remote.address)).to_string(),
            peer_connection_established: self.state.as_ref().is_some_and(|state| state.connected),
            local_candidate: local.map(|local| candidate("host", protocol, local)).unwrap_or_default(),
            // An ICE-lite agent learns it from checks (RFC 8445 §7.3.1.3).
            remote_candidate: remote
                .map(|remote| candidate("prflx", protocol, remote.address))
                .unwrap_or_default(),
            state: "read",
            path: self.stream.1.clone(),
            query: "",
            user: String::new(),
            user_agent: self.visitor.agent.clone().into(),
            traffic: self.state.as_ref().map(|state| state.sent.into()).unwrap_or_default(),
        }
    }
}

/// The address of a viewer. One that asks by IPv4 and has its media by IPv6, or is on this machine, which has many
/// addresses, is where its media is. Behind a proxy the offer comes from elsewhere: there is no port to that.
fn remote_addr(visitor: IpAddr, media: Option<SocketAddr>) -> SocketAddr {
    let visitor = visitor.to_canonical();
    let is_same = |media: &IpAddr| {
        *media == visitor
            || media.is_ipv4() != visitor.is_ipv4()
            || media.is_loopback() && visitor.is_loopback()
    };
    let media = media.map(|media| SocketAddr::new(media.ip().to_canonical(), media.port()));
    media.filter(|media| is_same(&media.ip())).unwrap_or_else(|| SocketAddr::new(visitor, 0))
}

fn candidate(kind: &str, protocol: &str, address: SocketAddr) -> String {
    let ip: IpAddr = address.ip().to_canonical();
    format!("{kind}/{protocol}/{ip}/{}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_is_told_with_the_port_of_its_media_whichever_address_that_has() {
        for (visitor, media, told) in [
            ("127.0.0.1", Some("127.0.0.1:7000"), "127.0.0.1:7000"),
            ("127.0.0.1", Some("[::1]:7000"), "[::1]:7000"),
            ("::1", Some("127.0.0.1:7000"), "127.0.0.1:7000"),
            ("::ffff:192.0.2.1", Some("192.0.2.1:7000"), "192.0.2.1:7000"),
            ("192.0.2.1", Some("[2001:db8::1]:7000"), "[2001:db8::1]:7000"),
            ("192.0.2.1", Some("[::ffff:192.0.2.1]:7000"), "192.0.2.1:7000"),
            ("192.0.2.9", Some("192.0.2.1:7000"), "192.0.2.9:0"),
            ("192.0.2.1", None, "192.0.2.1:0"),
        ] {
            let media = media.map(|media| media.parse().expect(media));
            assert_eq!(remote_addr(visitor.parse().expect(visitor), media).to_string(), told, "{visitor}");
        }
    }
}
