//! What a running server takes over of a configuration, beside its streams.
//!
//! Owns which key goes to whom. Keys that need a restart are passed over here, and named to whoever changed them
//! (`operator::settings`). A shell: sessions end by the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use sluice_config::Config;
use tokio::sync::watch;

use super::{ServerError, settings};
use crate::current::Current;
use crate::http::access::{Access, Next, watch as rights};
use crate::http::cors::Origins;
use crate::http::hosts::Hosts;
use crate::http::listen::ClientLimits;
use crate::http::mediamtx::MediaMtx;
use crate::http::whep::Whep;
use crate::session::announce::Announcer;
use crate::shard::command::Command;

/// Where values go.
pub(super) struct Tables {
    /// `http.allow_origin`.
    pub(super) origins: Arc<Current<Origins>>,
    /// `admin.hosts`.
    pub(super) hosts: Hosts,
    /// `[access]`.
    pub(super) access: Arc<Access>,
    /// What programs made for MediaMTX are told of it.
    pub(super) mediamtx: Arc<MediaMtx>,
    /// Clients of the public listener.
    pub(super) clients: Arc<Current<ClientLimits>>,
    /// Clients of the admin listener, and of the one for profiles.
    pub(super) operators: Arc<Current<ClientLimits>>,
    /// Viewers to come, drains, rings and shards.
    pub(super) whep: Arc<Whep>,
    /// `config.watch`.
    pub(super) watch: watch::Sender<bool>,
    /// `[ice]`.
    pub(super) announcer: Arc<Current<Arc<Announcer>>>,
}

/// What was judged, ready to be put into effect.
pub(super) struct Judged {
    origins: Origins,
    announcer: Announcer,
    access: Next,
}

impl Tables {
    /// Whether all of `config` can be put into effect: what may fail, fails here.
    pub(super) async fn judge(&self, config: &Config) -> Result<Judged, ServerError> {
        let announcer = self.announcer.get().with(&config.ice).await?;
        announcer.now()?;
        let access = self.access.judge(&config.access).await.map_err(ServerError::Access)?;
        Ok(Judged { origins: settings::origins(config)?, announcer, access })
    }

    /// Puts it into effect: for those who come, and where a key is for all, for those who are there.
    pub(super) fn apply(&self, config: &Config, Judged { origins, announcer, access }: Judged) {
        self.watch.send_replace(config.config.watch);
        self.origins.set(origins);
        self.mediamtx.config.set(Arc::new(config.clone()));
        self.hosts.set(config.admin.hosts.as_slice().into());
        self.access.change(&config.access, access);
        rights::look(&self.access, &self.whep.sessions, Instant::now(), SystemTime::now());
        self.clients.set(ClientLimits::new(config));
        self.operators.set(ClientLimits::of_operators(config));
        if let Ok(now) = announcer.now() {
            self.whep.announce(&now);
        }
        self.announcer.set(Arc::new(announcer));
        self.whep.terms.set(config.into());
        self.whep.drain.configure(config.drain.clone());
        self.whep.sessions.admission.limit((&config.limits).into());
        let tuning = settings::tuning(config, self.whep.shards.len());
        self.whep.registry.limit(tuning.recent);
        for shard in &self.whep.shards {
            shard.limit(settings::room(config, tuning.rate));
            if let Err(busy) = shard.command(Command::Tune(tuning)) {
                tracing::warn!("{busy}: it keeps its old [egress], [nack] and [track]");
            }
        }
    }
}
