//! By which way media is asked for, where that is to be found out (`rtsp.transport = "auto"`).
//!
//! Owns what is remembered of a camera: the way that brought media last. It is stayed with until it brings none: UDP is not
//! tried again because TCP loses nothing. Never knows a packet.

use sluice_config::Transport;

use super::failure::Failure;
use super::flow::Flow;

/// What is known of one camera.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// Where it is looked for, TCP is next.
    by_tcp: bool,
    /// Because too much is lost by UDP.
    lossy: bool,
    /// TCP was tried for that, and brings nothing: what is lost by UDP is borne.
    bears: bool,
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

    /// Whether TCP is next where the way is looked for.
    pub(super) fn is_by_tcp(&self) -> bool {
        self.by_tcp
    }

    /// That was found out before, of the same camera.
    pub(super) fn recall(&mut self, by_tcp: bool) {
        self.by_tcp = by_tcp;
    }

    /// Whether UDP is to give way to TCP where too much is lost.
    pub(super) fn minds_loss(&self) -> bool {
        !self.bears
    }

    /// The camera does not take this way, and went on by the other.
    pub(super) fn refused(&mut self, way: Transport) {
        self.by_tcp = way == Transport::Udp;
    }

    /// An attempt has failed that was to find the way, after media as they flowed. Returns whether the other way is to be
    /// tried at once; it is next in any case. UDP that stops soon is as good as none: a firewall may have forgotten it.
    pub(super) fn failed(&mut self, wanted: Transport, failure: &Failure, flow: &Flow) -> bool {
        let no_media =
            flow.until().is_none() || (failure.is_silence_by_udp() && !flow.is_steady()) || failure.is_loss();
        let other = wanted == Transport::Auto && no_media && failure.is_of_transport();
        if other {
            self.bears |= self.lossy;
            self.lossy = failure.is_loss();
        }
        self.by_tcp ^= other;
        other
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::failure::Refusal;
    use super::super::losses::Heavy;
    use super::super::message::Method;
    use super::super::silence::Silence;
    use super::*;

    fn silent(transport: Transport, silence: Silence) -> Failure {
        Failure::Silent { what: "whole picture", limit: Duration::from_secs(3), transport, silence }
    }

    fn refused(request: Method, status: u16) -> Failure {
        let (transport, detail) = (Transport::Udp, String::new());
        Failure::Refused(Refusal { request, status, verdict: None, transport, detail })
    }

    /// Media for so many seconds.
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn flowed(secs: u64) -> Flow {
        let (mut flow, start) = (Flow::default(), Instant::now());
        flow.note(start);
        flow.note(start + Duration::from_secs(secs));
        flow
    }

    #[test]
    fn udp_is_first_and_what_brought_media_is_remembered() {
        let (mut ways, none) = (Ways::default(), Flow::default());
        let [by_udp, by_tcp] =
            [Transport::Udp, Transport::Tcp].map(|transport| silent(transport, Silence::Nothing));
        assert_eq!(ways.next(Transport::Auto, false), Transport::Udp);
        assert!(!ways.failed(Transport::Auto, &Failure::TornDown, &none), "that is not about the way");
        assert!(!ways.failed(Transport::Auto, &by_udp, &flowed(60)), "it brought media before");
        assert!(ways.failed(Transport::Auto, &by_udp, &none));
        assert_eq!(ways.next(Transport::Auto, false), Transport::Tcp);
        assert!(!ways.failed(Transport::Auto, &by_tcp, &flowed(1)));
        assert_eq!(ways.next(Transport::Auto, false), Transport::Tcp, "remembered");
        assert!(ways.failed(Transport::Auto, &Failure::OnlyUdp(String::new()), &none));
        assert_eq!(ways.next(Transport::Auto, false), Transport::Udp);
        ways.refused(Transport::Udp);
        assert_eq!(ways.next(Transport::Auto, false), Transport::Tcp);
    }

    #[test]
    fn udp_gives_way_however_it_fails_and_a_refusal_of_the_viewer_changes_nothing() {
        let limit = Duration::from_secs(3);
        for failure in [
            silent(Transport::Udp, Silence::Damaged),
            silent(Transport::Udp, Silence::NoPicture),
            silent(Transport::Udp, Silence::Strangers),
            refused(Method::Setup, 400),
            refused(Method::Setup, 500),
            refused(Method::Play, 461),
            Failure::NoAnswerTo { request: Method::Setup, limit, amid: false },
            Failure::Closed(Some(Method::Setup)),
            Failure::Closed(Some(Method::Play)),
        ] {
            let mut ways = Ways::default();
            assert!(ways.failed(Transport::Auto, &failure, &Flow::default()), "{failure}");
            assert_eq!(ways.next(Transport::Auto, false), Transport::Tcp, "{failure}");
        }
        let dies = silent(Transport::Udp, Silence::Nothing);
        assert!(Ways::default().failed(Transport::Auto, &dies, &flowed(4)), "a firewall forgets it");
        for failure in [
            refused(Method::Setup, 401),
            refused(Method::Setup, 403),
            refused(Method::Setup, 404),
            refused(Method::Play, 453),
            refused(Method::Describe, 500),
            Failure::Closed(Some(Method::Describe)),
            Failure::Closed(None),
            silent(Transport::Tcp, Silence::Damaged),
        ] {
            assert!(!Ways::default().failed(Transport::Auto, &failure, &Flow::default()), "{failure}");
        }
    }

    #[test]
    fn udp_that_loses_much_gives_way_once_and_is_borne_where_tcp_brings_nothing() {
        let lossy = || Failure::Lossy(Heavy { lost: 812, expected: 2_460, time: Duration::from_secs(6) });
        assert_eq!(
            lossy().to_string(),
            "loses 34 of 100 packets by UDP (812 of 2460 in 6 s): set its rtsp_transport to tcp"
        );
        let mut ways = Ways::default();
        assert!(ways.minds_loss() && ways.failed(Transport::Auto, &lossy(), &flowed(60)), "it flowed");
        assert_eq!(ways.next(Transport::Auto, false), Transport::Tcp);
        // TCP plays and breaks: it is stayed with.
        assert!(!ways.failed(Transport::Auto, &Failure::Closed(None), &flowed(60)));
        assert_eq!((ways.next(Transport::Auto, false), ways.minds_loss()), (Transport::Tcp, true));
        // One day it is refused: UDP again, and whatever it loses.
        assert!(ways.failed(Transport::Auto, &refused(Method::Setup, 461), &Flow::default()));
        assert_eq!((ways.next(Transport::Auto, false), ways.minds_loss()), (Transport::Udp, false));
        assert!(!ways.failed(Transport::Udp, &lossy(), &flowed(60)), "UDP was chosen");
    }

    #[test]
    fn what_was_chosen_is_kept_and_a_line_that_carries_media_leaves_no_choice() {
        let mut ways = Ways::default();
        for wanted in [Transport::Tcp, Transport::Udp, Transport::Multicast] {
            assert!(!ways.failed(wanted, &silent(Transport::Udp, Silence::Nothing), &Flow::default()));
            assert_eq!(ways.next(wanted, false), wanted);
        }
        for wanted in Transport::ALL {
            assert_eq!(ways.next(wanted, true), Transport::Tcp);
        }
    }
}
