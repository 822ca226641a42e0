//! What the configuration says, in the words of those who carry media.
//!
//! Owns the translation for viewers, shards and rings, which know no configuration. All others take its own types.

use std::time::Duration;

use sluice_config::{Config, Egress};

use super::ServerError;
use crate::http::cors::Origins;
use crate::http::whep::ViewerTerms;
use crate::peer::{FRESH, PeerLimits};
use crate::shard::{Pacing, RoomLimits, Tuning};
use crate::track::RecentLimits;
use crate::viewer::ViewerLimits;

impl From<&Config> for RecentLimits {
    /// Without repair nothing from before the last keyframe has to stay.
    fn from(config: &Config) -> RecentLimits {
        let history = if config.nack.enabled { config.nack.history } else { Duration::ZERO };
        RecentLimits { bytes: config.track.history_bytes.as_usize(), history }
    }
}

impl From<&Config> for ViewerLimits {
    fn from(config: &Config) -> ViewerLimits {
        let peer = PeerLimits {
            setup: config.limits.setup_timeout,
            consent: config.limits.consent_timeout,
            fresh: FRESH,
        };
        ViewerLimits { peer, report_interval: config.rtcp.report_interval }
    }
}

impl From<&Egress> for Pacing {
    fn from(egress: &Egress) -> Pacing {
        Pacing { spread: egress.spread, audio_hold: egress.audio_hold }
    }
}

impl From<&Config> for ViewerTerms {
    fn from(config: &Config) -> ViewerTerms {
        ViewerTerms { limits: config.into(), repair: config.nack.enabled, redundancy: config.red.enabled }
    }
}

/// What each of so many shards is told: they share the line equally.
pub(super) fn tuning(config: &Config, shards: usize) -> Tuning {
    let rate = config.egress.rate.bytes_per_second().map(|rate| rate / shards as f64);
    Tuning { recent: config.into(), pacing: (&config.egress).into(), rate }
}

/// What a shard with that part of the line may take on.
pub(super) fn room(config: &Config, rate: Option<f64>) -> RoomLimits {
    let busy = Some(f64::from(config.limits.busy) / 100.0).filter(|&part| part > 0.0);
    RoomLimits { busy, rate }
}

/// Which pages of other sites may ask.
pub(super) fn origins(config: &Config) -> Result<Origins, ServerError> {
    Origins::new(&config.http.allow_origin).map_err(ServerError::Origin)
}
