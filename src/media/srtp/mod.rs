//! SRTP and SRTCP (RFC 3711, RFC 7714): keys from the DTLS handshake, sealing of what is sent, opening of reports.

mod gcm;
mod index;
mod keys;
mod open;
mod seal;

pub use gcm::Library;
pub use index::PacketIndex;
pub use keys::{Keying, ReportKeys, SendKeys};
pub use open::{Opener, SENDERS_MAX};
pub use seal::{Header, RTCP_TAG_MAX, RTP_HEADER, Sealed, Sealer, TAG_MAX};
