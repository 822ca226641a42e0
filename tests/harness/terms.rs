//! The server's side of what is played in virtual time: where it is, what bounds it, and on what terms it is joined.
//!
//! Joining is the server's own function (`sluice::session::join`); nothing of it is written again here.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, LazyLock};

use sluice::id::{LayerId, StreamId};
use sluice::session::join::Terms;
use sluice::shard::Pacing;
use sluice::shard::command::Media;
use sluice::stream::Formats;
use sluice::track::{RecentLimits, Train};
use sluice::viewer::ViewerLimits;
use sluice_config::Config;
use sluice_media::Kind;
use sluice_media::dtls::SharedDtls;

/// Where every viewer finds the server.
pub const SERVER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 8_189));

/// As the server sets them by default.
pub static LIMITS: LazyLock<ViewerLimits> = LazyLock::new(|| (&Config::default()).into());

/// As the server sets them by default.
pub static RECENT: LazyLock<RecentLimits> = LazyLock::new(|| (&Config::default()).into());

/// As the server sets it by default.
pub static PACING: LazyLock<Pacing> = LazyLock::new(|| (&Config::default().egress).into());

/// One certificate for all tests, as for all viewers of a process.
pub static DTLS: LazyLock<SharedDtls> = LazyLock::new(|| SharedDtls::new().expect("DTLS"));

/// The terms of a join: who watches `layer` of a stream with these `formats`.
pub fn terms(layer: LayerId, formats: &Formats, limits: ViewerLimits, repair: bool) -> Terms<'_> {
    Terms {
        layer,
        name: "camera",
        formats,
        candidates: &[SERVER],
        tcp_port: None,
        dtls: &DTLS,
        limits,
        repair,
        redundancy: true,
    }
}

/// How a shard is handed a train of a stream with one layer.
pub fn media(stream: StreamId, train: Arc<Train>) -> Media {
    media_of(stream.layer(0), train)
}

/// How a shard is handed a train of a layer.
pub fn media_of(layer: LayerId, train: Arc<Train>) -> Media {
    match train.codec.kind() {
        Kind::Video => Media::Picture { layer, train },
        Kind::Audio => Media::Sound { stream: layer.stream, train },
    }
}
