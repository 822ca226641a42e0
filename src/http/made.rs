//! Streams that are made when somebody asks for one: what WHEP needs of whoever makes them.
//!
//! Owns that a stream that was made and is not begun goes again. Who may ask is decided before.

use std::sync::Arc;

use crate::client::Client;
use crate::stream::Stream;

/// Whoever makes streams.
pub trait Maker: Send + Sync {
    /// Whether there could be a stream of that name.
    fn knows(&self, name: &str) -> bool;

    /// Makes it for a client; nothing where nothing makes it.
    ///
    /// # Errors
    ///
    /// Why there may be no more of them.
    fn make(&self, name: &str, client: Client) -> Result<Option<Made>, Full>;
}

/// Why no more streams are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// There are as many as may be, and all of them are wanted.
    #[error(
        "{0} streams are watched that are made when somebody asks, as many as may be (on_demand.made_streams)"
    )]
    All(usize),
    /// This client has its share of them.
    #[error(
        "this address has {own} streams made that somebody wants; the places that are left are for others \
         (limits.share_per_address is {percent} %; behind a proxy see http.trusted_proxies)"
    )]
    Own {
        /// Those of this client.
        own: usize,
        /// Its share.
        percent: u8,
    },
}

/// A stream that was just made. It begins, or goes again.
pub struct Made {
    /// It.
    pub stream: Arc<Stream>,
    end: Option<Box<dyn FnOnce(bool) + Send>>,
}

impl Made {
    /// `end` is told whether it begins.
    pub fn new(stream: Arc<Stream>, end: impl FnOnce(bool) + Send + 'static) -> Made {
        Made { stream, end: Some(Box::new(end)) }
    }

    /// One that there is.
    pub fn before(stream: Arc<Stream>) -> Made {
        Made { stream, end: None }
    }

    /// Somebody is let in.
    pub(super) fn begin(mut self) {
        if let Some(end) = self.end.take() {
            end(true);
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            // Others may have found it meanwhile.
            end(self.stream.is_wanted());
        }
    }
}
