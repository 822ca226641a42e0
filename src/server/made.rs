//! Makes streams by patterns, when somebody asks for their names.
//!
//! Owns how many there may be: all of them, and of one client. Where there is no room one that nobody wants goes first, so
//! that names that nobody watches keep nobody out.

use std::sync::{Arc, Mutex};

use sluice_config::{Config, StreamKey};

use super::configured::Configured;
use super::streams::{Streams, made};
use crate::client::{Client, Share};
use crate::contain::lock;
use crate::current::Current;
use crate::http::made::{Full, Made, Maker};
use crate::session::admission::Admission;
use crate::stream::{Registry, Stream};

/// What makes streams.
pub struct Making {
    configured: Current<Arc<Configured>>,
    streams: Arc<Streams>,
    registry: Arc<Registry>,
    admission: Arc<Admission>,
    /// Those that there are, in the order in which they were made, each with whom for.
    book: Mutex<Vec<(Arc<Stream>, Client)>>,
}

impl Making {
    /// By the patterns of `configured`.
    pub(super) fn new(
        configured: &Configured,
        streams: Arc<Streams>,
        registry: Arc<Registry>,
        admission: Arc<Admission>,
    ) -> Making {
        let configured = Current::new(Arc::new(configured.clone()));
        Making { configured, streams, registry, admission, book: Mutex::default() }
    }

    /// By those of another configuration from now on.
    pub(super) fn configure(&self, configured: &Configured) {
        self.configured.set(Arc::new(configured.clone()));
    }

    /// Room for one more stream of `client`: one that nobody wants goes for it, of the client's own if it has its share.
    fn make_room(
        &self,
        book: &mut Vec<(Arc<Stream>, Client)>,
        config: &Config,
        client: Client,
    ) -> Result<(), Full> {
        let most = config.on_demand.made_streams as usize;
        let share = Share(config.limits.share_per_address);
        book.retain(|(stream, _)| {
            if stream.is_over() {
                self.admission.forget(stream.id);
            }
            !stream.is_over()
        });
        let go = |book: &mut Vec<(Arc<Stream>, Client)>, which: &dyn Fn(&Client) -> bool| {
            let place = book.iter().position(|(stream, of)| which(of) && self.registry.retire(stream));
            place.map(|place| self.admission.forget(book.remove(place).0.id)).is_some()
        };
        let own = |book: &[(Arc<Stream>, Client)]| book.iter().filter(|(_, of)| *of == client).count();
        while !share.allows(own(book), most.saturating_sub(book.len())) && own(book) > 0 {
            if !go(book, &|of| *of == client) && !go(book, &|_| true) {
                return Err(match book.len() >= most {
                    true => Full::All(most),
                    false => Full::Own { own: own(book), percent: share.0 },
                });
            }
        }
        while book.len() >= most {
            if !go(book, &|_| true) {
                return Err(Full::All(most));
            }
        }
        Ok(())
    }
}

impl Maker for Making {
    fn knows(&self, name: &str) -> bool {
        let configured = self.configured.get();
        let config = &configured.effective.config;
        // One that has a name of its own may be about to be added.
        config.streams.contains_key(name) || config.made(name).is_some()
    }

    fn make(&self, name: &str, client: Client) -> Result<Option<Made>, Full> {
        let configured = self.configured.get();
        let config = &configured.effective.config;
        let Some((pattern, (high, low))) = made(config, name, |key: &StreamKey| configured.is_by_api(key))
        else {
            return Ok(None);
        };
        let mut book = lock(&self.book);
        if let Some(there) = self.registry.stream(name) {
            return Ok(Some(Made::before(there)));
        }
        self.make_room(&mut book, config, client)?;
        let Some((stream, orders)) = self.registry.make(name, &pattern, high) else {
            return Ok(self.registry.stream(name).map(Made::before));
        };
        book.push((stream.clone(), client));
        let (streams, registry, begun) = (self.streams.clone(), self.registry.clone(), stream.clone());
        Ok(Some(Made::new(stream, move |begins| {
            if !begins {
                registry.retire(&begun);
            } else if let Err(error) = streams.begin(&begun, orders, low) {
                tracing::error!(stream = begun.name, %error, "the kernel gives no thread for its source");
            }
        })))
    }
}
