//! By which way media is asked for, where that is to be found out (`rtsp.transport = "auto"`).
//!
//! Owns what is remembered of a camera: the way that brought media last. Never knows a packet.

use sluice_config::Transport;

use super::failure::Failure;

/// What is known of one camera.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// Where it is looked for, TCP is next.
    by_tcp: bool,
}

impl Ways {
    /// The way of the next attempt, of what is `wanted`. On a line that carries media itself there is one only.
    pub(super) fn next(&self, wanted: Transport, in_line: bool) -> Transport {
        match wanted {
            _ if in_line => Transport::Tcp,
            Transport::Auto if self.by_tcp => Transport::Tcp,
            Transport::Auto => Transport::Udp,
            wanted => wanted,
        }
    }

    /// The camera does not take this way, and went on by the other.
    pub(super) fn refused(&mut self, way: Transport) {
        self.by_tcp = way == Transport::Udp;
    }

    /// An attempt has failed that was to find the way, after media if it `flowed`. Returns whether the other way is to be
    /// tried at once; it is next in any case.
    pub(super) fn failed(&mut self, wanted: Transport, failure: &Failure, flowed: bool) -> bool {
        let other = wanted == Transport::Auto && !flowed && failure.is_of_transport();
        self.by_tcp ^= other;
        other
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::silence::Silence;
    use super::*;

    fn silent() -> Failure {
        let silence = Silence::Nothing;
        Failure::Silent {
            what: "whole picture",
            limit: Duration::from_secs(3),
            transport: Transport::Udp,
            silence,
        }
    }

    #[test]
    fn udp_is_first_and_what_brought_media_is_remembered() {
        let mut ways = Ways::default();
        assert_eq!(ways.next(Transport::Auto, false), Transport::Udp);
        assert!(!ways.failed(Transport::Auto, &Failure::TornDown, false), "that is not about the way");
        assert!(!ways.failed(Transport::Auto, &silent(), true), "it brought media before");
        assert!(ways.failed(Transport::Auto, &silent(), false));
        assert_eq!(ways.next(Transport::Auto, false), Transport::Tcp);
        assert!(!ways.failed(Transport::Auto, &silent(), true));
        assert_eq!(ways.next(Transport::Auto, false), Transport::Tcp, "remembered");
        assert!(ways.failed(Transport::Auto, &Failure::OnlyUdp(String::new()), false));
        assert_eq!(ways.next(Transport::Auto, false), Transport::Udp);
        ways.refused(Transport::Udp);
        assert_eq!(ways.next(Transport::Auto, false), Transport::Tcp);
    }

    #[test]
    fn what_was_chosen_is_kept_and_a_line_that_carries_media_leaves_no_choice() {
        let mut ways = Ways::default();
        for wanted in [Transport::Tcp, Transport::Udp, Transport::Multicast] {
            assert!(!ways.failed(wanted, &silent(), false));
            assert_eq!(ways.next(wanted, false), wanted);
        }
        for wanted in Transport::ALL {
            assert_eq!(ways.next(wanted, true), Transport::Tcp);
        }
    }
}
