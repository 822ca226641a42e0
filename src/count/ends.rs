//! Why viewers end: the words that are counted.

/// Why a viewer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// DELETE of its session.
    Deleted,
    /// An operator ended it.
    Operator,
    /// The time of its right is over.
    AccessExpired,
    /// Its right was taken back.
    AccessRevoked,
    /// The peer closed DTLS.
    PeerClosed,
    /// Not connected in time after the offer: for us, or for the player that then deleted its session.
    SetupTimeout,
    /// No consent check for too long (RFC 7675 §5.1).
    ConsentExpired,
    /// Its engine failed or panicked.
    EngineFailed,
    /// Its stream was removed.
    StreamRemoved,
    /// Its stream sends another codec than it agreed to.
    CodecChanged,
    /// It went without media for too long, because there was more to send than could be sent.
    Overloaded,
    /// Its shard failed, or stood still for too long.
    ShardFailed,
    /// The server is to end, and its viewers go elsewhere.
    Drained,
    /// The server stops.
    Shutdown,
}

impl EndReason {
    /// All reasons, for metrics.
    pub const ALL: [EndReason; 14] = [
        EndReason::Deleted,
        EndReason::Operator,
        EndReason::AccessExpired,
        EndReason::AccessRevoked,
        EndReason::PeerClosed,
        EndReason::SetupTimeout,
        EndReason::ConsentExpired,
        EndReason::EngineFailed,
        EndReason::StreamRemoved,
        EndReason::CodecChanged,
        EndReason::Overloaded,
        EndReason::ShardFailed,
        EndReason::Drained,
        EndReason::Shutdown,
    ];

    /// The value of the `reason` label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            EndReason::Deleted => "deleted",
            EndReason::Operator => "operator",
            EndReason::AccessExpired => "access_expired",
            EndReason::AccessRevoked => "access_revoked",
            EndReason::PeerClosed => "peer_closed",
            EndReason::SetupTimeout => "setup_timeout",
            EndReason::ConsentExpired => "consent_expired",
            EndReason::EngineFailed => "engine_failed",
            EndReason::StreamRemoved => "stream_removed",
            EndReason::CodecChanged => "codec_changed",
            EndReason::Overloaded => "overloaded",
            EndReason::ShardFailed => "shard_failed",
            EndReason::Drained => "drained",
            EndReason::Shutdown => "shutdown",
        }
    }
}
