//! What a shard counts: plain numbers that one thread writes and a scrape reads.
//!
//! Owns the cells. Each belongs to one shard, so a write is a load and a store without a lock or a
//! shared cache line; sums are made when somebody asks (src/ops/metrics.rs).

use sluice_io::DropReason;

use super::cell::Cell;
use super::ends::EndReason;
use super::feedback::Feedback;
use super::setup::Setup;
use super::traffic::Traffic;

macro_rules! cells {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub struct $name {
            $($(#[$doc])* pub $field: Cell,)*
            /// What viewers say about what they receive.
            pub feedback: Feedback,
            /// How long viewers took to be set up.
            pub setup: Setup,
            /// How media and datagrams pass through.
            pub traffic: Traffic,
            ended: [Cell; EndReason::ALL.len()],
            kernel_dropped: [Cell; DropReason::ALL.len()],
        }
    };
}

cells! {
    /// The numbers of one shard. Aligned so that two shards never share a cache line.
    #[repr(align(128))]
    ShardCounters {
        /// Viewers here now, connected or not.
        viewers,
        /// TCP connections of viewers that are open now, whoever is at them.
        connections_open,
        /// Viewers here now that are connected.
        connected_now,
        /// Viewers that get no media now, because it does not suffice for all who are connected.
        without_media,
        /// Connected viewers whose sound goes twice now, because they lose some.
        redundant_now,
        /// Bytes a second on the wire that a viewer here takes of what he watches, on average and once he plays: the past
        /// that who joins is sent is no part of it.
        live_each,
        /// Viewers that are sent no more than their line carries, because it is narrower than their stream.
        limited,
        /// Viewers that connected.
        connected,
        /// Trains that came in.
        trains,
        /// Media messages that did not fit the queue. Written by sources, not by the shard, as is the next.
        media_queue_full,
        /// Media messages that were over their stream's share of the queue.
        media_queue_share,
        /// Keyframe requests answered by sending the ring again.
        keyframes_replayed,
        /// Keyframe requests that came too soon after another.
        keyframes_coalesced,
        /// Keyframe requests left to the source's next keyframe.
        keyframes_awaited,
        /// Packets sent again for a NACK.
        repairs_sent,
        /// Packets asked for again within a round trip.
        repairs_repeated,
        /// Packets asked for that the ring does not have (any more).
        repairs_unknown,
        /// Packets asked for over the share that repairs may take.
        repairs_over_budget,
        /// Packets asked for by viewers that were answered without repair.
        repairs_not_agreed,
        /// SRTP and SRTCP datagrams of engines that were withheld: only the sealer emits those.
        withheld,
        /// Datagrams received.
        ingress_datagrams,
        /// Dropped by the kernel before they were received, for lack of room: its own count, from 0 again at 2^32.
        ingress_dropped,
        /// Discarded: longer than any we ask for.
        discarded_oversize,
        /// Discarded: a check that failed authentication.
        discarded_unauthenticated,
        /// Discarded: a check from an address that another viewer was heard on lately.
        discarded_taken_address,
        /// Discarded: a check from a ninth address of its viewer.
        discarded_ninth_address,
        /// Discarded: STUN over what one TCP connection may have looked at in a second.
        discarded_check_rate,
        /// Discarded: a check by IPv4 or IPv6 where no such address was announced.
        discarded_unannounced,
        /// Discarded: a check that came before, now from an unknown address.
        discarded_copy,
        /// Discarded: STUN that is no connectivity check.
        discarded_no_check,
        /// Discarded: a check for nobody here.
        discarded_unknown_ufrag,
        /// Discarded: DTLS or RTCP from an address that never authenticated itself.
        discarded_unknown_address,
        /// Discarded: RTP.
        discarded_media,
        /// Discarded: DTLS records of application data.
        discarded_application_data,
        /// Discarded: DTLS records that the library refused.
        discarded_dtls,
        /// Discarded: RTCP of a viewer that does not open: forged, altered, repeated, or before the handshake.
        discarded_rtcp,
        /// Discarded: not of any protocol we speak.
        discarded_alien,
        /// TCP connections of viewers refused: too many of strangers, of one address, or of all.
        connections_refused,
        /// Bytes the kernel took for TCP connections of viewers.
        egress_bytes_tcp,
        /// Bytes the kernel took: payload of UDP, and all of TCP.
        egress_bytes,
        /// Datagrams the kernel took.
        egress_datagrams,
        /// GSO messages (of one datagram or more) the kernel took.
        egress_messages,
        /// `sendmmsg` calls.
        send_calls,
        /// Datagrams dropped because the socket's buffer stayed full: sealed media, and what may not wait.
        dropped_socket_full,
        /// Datagrams of trains dropped before sealing: they waited too long for the socket or the core.
        dropped_late,
        /// Datagrams of trains not sealed for viewers that go without media.
        dropped_shed,
        /// Datagrams of trains not sealed for viewers who miss what came before them: they wait for a keyframe.
        dropped_undecodable,
        /// Datagrams of trains not sealed for viewers whose TCP connection has no room for one more picture.
        dropped_slow_line,
        /// Pictures left out for viewers whose line is too narrow: too late.
        thinned_late,
        /// The same: late, and a newer keyframe was there.
        thinned_superseded,
        /// The same: something before them is missing.
        thinned_undecodable,
        /// Packets of sound that went with the one before them in front.
        redundant_packets,
        /// Bytes that they were longer for it.
        redundant_bytes,
        /// Datagrams lost because their TCP connection had no room at all.
        dropped_line_full,
        /// Datagrams that no batch takes, because of their length: nothing here makes such.
        dropped_unbatchable,
        /// Messages sent again without GSO after the kernel refused them with it.
        gso_fallbacks,
        /// Nanoseconds that the socket was full.
        blocked_nanos,
        /// Nanoseconds that the thread worked instead of waiting.
        busy_nanos,
        /// The part of them in which trains went out.
        media_nanos,
        /// Times the thread woke up.
        wakeups,
    }
}

impl ShardCounters {
    /// Datagrams that the kernel refused to send for `reason`.
    pub fn kernel_dropped(&self, reason: DropReason) -> &Cell {
        &self.kernel_dropped[reason as usize]
    }

    /// Viewers that ended for `reason`.
    pub fn ended(&self, reason: EndReason) -> &Cell {
        let place = EndReason::ALL.iter().position(|other| *other == reason);
        &self.ended[place.expect("ALL holds every reason")]
    }
}
