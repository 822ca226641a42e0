//! What the configuration says, in the words of those who carry media.
//!
//! Owns the translation for viewers, shards and rings, which know no configuration. All others take its own types.

use std::time::Duration;

use sluice_config::{Config, Egress};

use crate::peer::{FRESH, PeerLimits};
use crate::shard::Pacing;
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
