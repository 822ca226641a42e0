//! Why a server cannot start, and whether the next start would say the same.

use sluice_io::SocketError;
use sluice_media::dtls::DtlsSetupError;

use crate::descriptors::TooFew;
use crate::http::listen::ListenError;
use crate::http::tls::configured::TlsError;
use crate::ops::levels::LevelError;
use crate::session::announce::AnnounceError;
use crate::shard::worker::StartError;

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No UDP socket.
    #[error("{0} (udp.address, udp.port)")]
    Socket(#[from] SocketError),
    /// No TCP listener.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// No certificate for a listener.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No worker thread.
    #[error(transparent)]
    Worker(#[from] StartError),
    /// No DTLS.
    #[error(transparent)]
    Dtls(#[from] DtlsSetupError),
    /// No address for viewers.
    #[error(transparent)]
    Announce(#[from] AnnounceError),
    /// Too few descriptors for what is configured.
    #[error(transparent)]
    Descriptors(#[from] TooFew),
    /// No thread, or no descriptor for one.
    #[error("the kernel gives no thread: {0}")]
    Thread(std::io::Error),
    /// `log.level` is no filter.
    #[error("log.level: {0}")]
    Level(#[from] LevelError),
    /// `http.allow_origin` cannot be a header.
    #[error("http.allow_origin {0:?} cannot be sent as a header")]
    Origin(String),
    /// What `[access]` names cannot be used.
    #[error("{0}")]
    Access(String),
}

impl ServerError {
    /// Whether what is configured cannot be used, as `sluice check` would say: a start without a change says it again.
    pub fn is_of_configuration(&self) -> bool {
        matches!(
            self,
            ServerError::Tls(TlsError::Certificate(_))
                | ServerError::Access(_)
                | ServerError::Level(_)
                | ServerError::Origin(_)
        )
    }
}
