//! What a listener with TLS counts.

use super::Cell;

/// Of one listener.
#[derive(Debug, Default)]
pub struct TlsCounters {
    /// When the certificate it shows expires, in seconds since 1970; 0 while there is none.
    pub expires: Cell,
    /// Handshakes that were finished.
    pub handshakes: Cell,
    /// Handshakes that were not: the other side speaks no TLS that we do, does not trust the certificate, or left.
    pub failed: Cell,
    /// Connections that had not finished it in time.
    pub late: Cell,
    /// Connections that spoke plain HTTP.
    pub plain: Cell,
    /// Times that the files had changed and could not be used.
    pub refused: Cell,
    /// Certificates that ACME brought.
    pub ordered: Cell,
    /// Times that it brought none.
    pub not_ordered: Cell,
}
