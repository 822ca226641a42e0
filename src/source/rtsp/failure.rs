//! Why an attempt on a camera failed, in a sentence for its owner: what it sent, what that means, what to do.
//!
//! Owns the words. What it quotes of a camera has gone through a [`Mask`](super::transcript::Mask): no credentials,
//! and nothing of the source's path and query.

use std::net::IpAddr;
use std::time::Duration;

use sluice_config::{FRAME_MAX, Fingerprint};
use sluice_media::VideoCodec;
use thiserror::Error;

use super::auth::Verdict;
use super::losses::Heavy;
use super::message::Method;
use super::silence::Silence;
use super::wire::{MAX_BODY, MAX_HEAD, TooLarge};
use crate::stream::Cause;
use sluice_config::Transport;

/// Why an attempt ended. Reads on behind "camera HOST:PORT ".
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error(
        "has a name that does not resolve ({0}): check the host of the source URL, or write its IP address"
    )]
    NoName(String),
    #[error(
        "is at {0}, where the API may name none: admin.sources lists where it may, and a camera in the configuration \
         file may be anywhere"
    )]
    OutOfReach(IpAddr),
    #[error("cannot be reached: is it on, are host and port right? ({0})")]
    Unreachable(String),
    #[error("did not accept a connection within {secs} s: is it on, are host and port right?", secs = .0.as_secs_f32())]
    NoConnection(Duration),
    #[error("does not complete the TLS handshake: {0}")]
    Tls(String),
    #[error(
        "shows a certificate that this machine does not trust ({why}): if it is the camera's own, write \
         rtsp_fingerprint = \"{shown}\" to its stream"
    )]
    Untrusted { shown: Fingerprint, why: String },
    #[error(
        "shows another certificate than its fingerprint says: if the camera has a new one, write rtsp_fingerprint = \
         \"{shown}\", or of several cameras the fingerprint of each in []; if not, somebody stands between"
    )]
    OtherCertificate { shown: Fingerprint },
    #[error(
        "shows the certificate of its fingerprint, and its key cannot be checked: it is of a kind that is not safe today \
         (RSA below 1024 bits, or below 2048 without TLS 1.2). Give the camera a new certificate, of RSA 2048 or P-256"
    )]
    Unproven,
    #[error(
        "offers no RTSP through HTTP: check port and path of the source URL, or pull it by rtsp://. It said \"{0}\""
    )]
    NoTunnel(String),
    #[error("lets nobody into its RTSP through HTTP: {}", sign_in_advice(.0))]
    TunnelSignIn(Verdict),
    #[error("did not answer within {secs} s when RTSP through HTTP was asked for: are host and port right?",
        secs = .0.as_secs_f32())]
    TunnelSilent(Duration),
    #[error("{}", tunnel_closed(*.0))]
    TunnelClosed(Option<Method>),
    #[error("did not answer {request} within {secs} s{hint}", secs = limit.as_secs_f32(),
        hint = if *amid { ", its answer began and did not end: is the line to it good?" } else { ": restart it if this lasts" })]
    NoAnswerTo { request: Method, limit: Duration, amid: bool },
    #[error(
        "answered {request} by \"{said}\", which is no answer yet, and by nothing more within {secs} s: restart it if \
         this lasts", secs = limit.as_secs_f32()
    )]
    OnlyInterim { request: Method, limit: Duration, said: String },
    #[error("answered with something that is not RTSP: is the port right? It sent \"{0}\"")]
    NotRtsp(String),
    #[error("{}", too_large(*.0))]
    TooLarge(TooLarge),
    #[error("refused {}: {} (\"{}\")", .0.request, .0.advice(), .0.detail)]
    Refused(Refusal),
    #[error("sends its viewers elsewhere: if {0} is your camera, put that address into the source URL")]
    Redirected(String),
    #[error(
        "redirects its viewers to the very address that it was asked at: restart it, and check its RTSP settings"
    )]
    RedirectedToItself,
    #[error("redirects its viewers and names no address: restart it, and check its RTSP settings")]
    RedirectedNowhere,
    #[error(
        "redirects its viewers from one of its addresses to the next, without end: restart it, and check its RTSP \
         settings"
    )]
    RedirectedInCircles,
    #[error(
        "sends its viewers to {0}, where others can read along: if that is meant, put that address into the source URL"
    )]
    RedirectedInClear(String),
    #[error("sends its viewers to {0}, where there is no RTSP: check port and path of the source URL")]
    RedirectedElsewhere(String),
    #[error("gave no list of what it sends: check the path of the source URL. It sent \"{0}\"")]
    NoDescription(String),
    #[error("sends media over UDP though TCP was asked for: set its rtsp_transport to udp. It said \"{0}\"")]
    OnlyUdp(String),
    #[error(
        "sends media by multicast only: set its rtsp_transport to multicast, or the stream to unicast in the camera. It \
         said \"{0}\""
    )]
    OnlyMulticast(String),
    #[error(
        "does not send by multicast: switch that on in the camera, or set its rtsp_transport to tcp. It said \"{0}\""
    )]
    OnlyUnicast(String),
    #[error(
        "gives no media by UDP, and offers none by TCP: does a firewall drop its UDP packets, or do its RTSP settings \
         leave them out? It said \"{0}\""
    )]
    NoWay(String),
    #[error("sends to a group that this machine cannot join ({0}): set its rtsp_transport to tcp")]
    NoGroup(String),
    #[error("offers nothing that can be forwarded: set it to {} video ({})", VideoCodec::WANTED, .0.join("; "))]
    Nothing(Vec<String>),
    #[error("sent no {what} for {secs} s{hint}", secs = .limit.as_secs_f32(),
        hint = .silence.hint(*.transport))]
    Silent { what: &'static str, limit: Duration, transport: Transport, silence: Silence },
    #[error("loses {} of 100 packets by UDP ({} of {} in {} s): set its rtsp_transport to tcp",
        (.0.lost * 100).div_ceil(.0.expected.max(1)), .0.lost, .0.expected, .0.time.as_secs())]
    Lossy(Heavy),
    #[error(
        "sends {comes}, and its session description says {announced}: set its codec anew, or restart it",
        comes = .comes.encoding_name(), announced = .announced.encoding_name()
    )]
    OtherCodec { announced: VideoCodec, comes: VideoCodec },
    #[error("sent a picture of more than {0} bytes: {advice}", advice = picture_advice(*.0))]
    PictureTooLarge(usize),
    #[error("closed the connection{}", closed_advice(*.0))]
    Closed(Option<Method>),
    #[error("ended the session: does it allow one viewer only, or only for a time?")]
    TornDown,
    #[error("broke the connection: {0}")]
    Broken(String),
    #[error("gets no UDP port of this machine: {0}")]
    NoPorts(String),
    #[error("sent something that made Sluice stumble (it panicked): please report this camera")]
    Panic,
}

/// How far an attempt came before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// No camera answered.
    Unreached,
    /// A camera answered, and did not let us in.
    SignIn,
    /// A camera answered, and no media is to be had.
    Reached,
}

/// A request that a camera refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) request: Method,
    pub(super) status: u16,
    /// What a 401 was about.
    pub(super) verdict: Option<Verdict>,
    pub(super) transport: Transport,
    /// The camera's own words.
    pub(super) detail: String,
}

impl Refusal {
    /// Whether another URL for the same thing may be what the camera wants.
    pub(super) fn is_about_url(&self) -> bool {
        matches!(self.status, 400 | 404 | 405 | 451 | 455 | 459 | 460 | 500)
    }

    fn cause(&self) -> Cause {
        match (self.status, &self.verdict) {
            (_, Some(Verdict::NoCredentials)) => Cause::NoCredentials,
            (_, Some(Verdict::Wrong)) | (401, None) => Cause::Credentials,
            (_, Some(_)) | (403, _) => Cause::Refused,
            (453 | 503, _) => Cause::Full,
            (461, _) => Cause::Media,
            (500.., _) => Cause::Broken,
            _ => Cause::Path,
        }
    }

    fn advice(&self) -> String {
        if let Some(verdict) = self.verdict.as_ref().filter(|verdict| **verdict != Verdict::Again) {
            return sign_in_advice(verdict);
        }
        let advice = match self.status {
            401 => "check user and password of the source",
            403 => "this user may not view the stream, give it the right in the camera or use another",
            404 => "it has no such stream, check the path of the source URL",
            300..=399 => "it redirects: put the final address into the source URL",
            453 | 503 => "it has no room for another session, close other clients of the camera",
            461 if self.request != Method::Setup => {
                "it wants another way of transport, check its RTSP settings"
            }
            461 if self.transport == Transport::Tcp => {
                "it does not offer RTP over TCP, set its rtsp_transport to udp"
            }
            461 if self.transport == Transport::Multicast => {
                "it does not offer RTP by multicast, switch that on in the camera, or set its rtsp_transport to tcp"
            }
            461 => "it does not offer RTP over UDP, set its rtsp_transport to tcp",
            551 => {
                "it wants what no request of ours asks for (an option), restart it or look for another firmware"
            }
            500.. => "it has an internal fault, restart it if this lasts",
            _ => "check the path of the source URL and the camera's settings",
        };
        advice.to_owned()
    }
}

impl Failure {
    /// Whether only an operator can cure it, so that trying often is useless. For credentials it does harm:
    /// many cameras lock a user after a few wrong passwords.
    pub(super) fn needs_operator(&self) -> bool {
        match self {
            Failure::Nothing(_)
            | Failure::OtherCodec { .. }
            | Failure::Redirected(_)
            | Failure::RedirectedElsewhere(_)
            | Failure::RedirectedInClear(_)
            | Failure::Untrusted { .. }
            | Failure::OtherCertificate { .. }
            | Failure::Unproven
            | Failure::OnlyUdp(_)
            | Failure::OnlyUnicast(_)
            | Failure::NoGroup(_)
            | Failure::NoWay(_)
            | Failure::OnlyMulticast(_) => true,
            Failure::TunnelSignIn(verdict) => *verdict != Verdict::Expired,
            Failure::Refused(refusal) => {
                matches!(refusal.status, 401 | 403 | 461) && refusal.verdict != Some(Verdict::Expired)
            }
            _ => false,
        }
    }

    /// What kind of thing it is.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Failure::NoName(_) => Cause::Name,
            Failure::OutOfReach(_)
            | Failure::Untrusted { .. }
            | Failure::OtherCertificate { .. }
            | Failure::Unproven => Cause::Refused,
            Failure::TunnelSignIn(Verdict::NoCredentials) => Cause::NoCredentials,
            Failure::TunnelSignIn(Verdict::Wrong) => Cause::Credentials,
            Failure::TunnelSignIn(_) => Cause::Refused,
            Failure::Unreachable(_)
            | Failure::NoConnection(_)
            | Failure::NotRtsp(_)
            | Failure::Tls(_)
            | Failure::TunnelSilent(_)
            | Failure::TunnelClosed(_)
            | Failure::NoTunnel(_) => Cause::Unreachable,
            Failure::TooLarge(_)
            | Failure::OnlyInterim { .. }
            | Failure::NoAnswerTo { .. }
            | Failure::Closed(_)
            | Failure::TornDown
            | Failure::Broken(_) => Cause::Broken,
            Failure::Silent { .. } | Failure::Lossy(_) => Cause::Broken,
            Failure::Refused(refusal) => refusal.cause(),
            Failure::NoDescription(_)
            | Failure::Redirected(_)
            | Failure::RedirectedElsewhere(_)
            | Failure::RedirectedInClear(_)
            | Failure::RedirectedNowhere
            | Failure::RedirectedInCircles
            | Failure::RedirectedToItself => Cause::Path,
            Failure::OnlyUdp(_)
            | Failure::OnlyUnicast(_)
            | Failure::NoGroup(_)
            | Failure::NoWay(_)
            | Failure::OnlyMulticast(_)
            | Failure::Nothing(_)
            | Failure::OtherCodec { .. }
            | Failure::PictureTooLarge(_) => Cause::Media,
            Failure::NoPorts(_) | Failure::Panic => Cause::Internal,
        }
    }

    /// How far the attempt came.
    pub(super) fn stage(&self) -> Stage {
        match self {
            Failure::NoName(_)
            | Failure::OutOfReach(_)
            | Failure::Unreachable(_)
            | Failure::NoConnection(_)
            | Failure::NotRtsp(_)
            | Failure::Tls(_)
            | Failure::TunnelSilent(_)
            | Failure::TunnelClosed(_)
            | Failure::NoTunnel(_)
            | Failure::NoAnswerTo { request: Method::Describe, .. }
            | Failure::Closed(Some(Method::Describe)) => Stage::Unreached,
            Failure::Refused(Refusal { verdict: Some(_), .. } | Refusal { status: 401 | 403, .. })
            | Failure::TunnelSignIn(_)
            | Failure::Untrusted { .. }
            | Failure::OtherCertificate { .. }
            | Failure::Unproven => Stage::SignIn,
            _ => Stage::Reached,
        }
    }

    /// Whether the camera says that it sends over UDP only.
    pub(super) fn wants_udp(&self) -> bool {
        match self {
            Failure::OnlyUdp(_) => true,
            Failure::Refused(refusal) => {
                let Refusal { request, status, transport, .. } = refusal;
                (*request, *status, *transport) == (Method::Setup, 461, Transport::Tcp)
            }
            _ => false,
        }
    }

    /// Whether another way of media may do where this one does not: it is refused, or nothing comes by it.
    pub(super) fn is_of_transport(&self) -> bool {
        match self {
            Failure::OnlyUdp(_)
            | Failure::OnlyUnicast(_)
            | Failure::NoGroup(_)
            | Failure::OnlyMulticast(_)
            | Failure::NoPorts(_)
            | Failure::Lossy(_)
            | Failure::Silent { silence: Silence::Nothing | Silence::Elsewhere(_), .. } => true,
            Failure::NoAnswerTo { request, .. }
            | Failure::OnlyInterim { request, .. }
            | Failure::Closed(Some(request)) => request.is_about_way(),
            // Not where the viewer, the path or the room is what it does not like.
            Failure::Refused(refusal) => {
                refusal.request.is_about_way()
                    && refusal.verdict.is_none()
                    && !matches!(refusal.status, 401 | 403 | 404 | 453 | 503)
            }
            _ => self.is_silence_by_udp(),
        }
    }

    /// Whether no picture comes by UDP, whatever else does.
    pub(super) fn is_silence_by_udp(&self) -> bool {
        matches!(self, Failure::Silent { transport: Transport::Udp, silence, .. } if *silence != Silence::Ended)
    }

    /// Whether so much is lost by UDP that another way is better.
    pub(super) fn is_loss(&self) -> bool {
        matches!(self, Failure::Lossy(_))
    }

    /// What it means where every way was tried.
    pub(super) fn after_all_ways(self) -> Failure {
        match self {
            Failure::OnlyUdp(said) => Failure::NoWay(said),
            Failure::Refused(refusal) if refusal.status == 461 && refusal.request.is_about_way() => {
                Failure::NoWay(refusal.detail)
            }
            failure => failure,
        }
    }

    /// Equal for failures that need no second warning.
    pub(super) fn same_as(&self, other: &Failure) -> bool {
        match (self, other) {
            (Failure::Refused(a), Failure::Refused(b)) => {
                (a.request, a.status, &a.verdict) == (b.request, b.status, &b.verdict)
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// What a refusal of credentials means.
fn sign_in_advice(verdict: &Verdict) -> String {
    let advice = match verdict {
        Verdict::Wrong | Verdict::Again => "check user and password of the source",
        Verdict::NoCredentials => "it wants credentials, put user and password into the source URL",
        Verdict::Expired => {
            "it says that its own challenge has expired, again and again: is its clock right? Restart it"
        }
        Verdict::Downgrade => {
            "it wants the password in clear (Basic) and took it hidden (Digest) before, so it was not sent. If you \
             have changed that in the camera, restart Sluice"
        }
        Verdict::Unknown(schemes) => {
            let asked = if schemes.is_empty() { "in no way that it names" } else { schemes };
            return format!(
                "it asks for credentials {asked}, known are Digest and Basic: set its RTSP authentication to Digest"
            );
        }
    };
    advice.to_owned()
}

fn too_large(what: TooLarge) -> String {
    match what {
        TooLarge::Head => format!(
            "sent an answer with more than {MAX_HEAD} bytes of headers, no camera does: check the path of the source URL, or restart it"
        ),
        TooLarge::Body => format!(
            "sent an answer of more than {MAX_BODY} bytes, no camera does: check the path of the source URL, or \
             restart it"
        ),
    }
}

/// Whoever does not answer the first request may be no camera at all.
fn closed_advice(instead_of: Option<Method>) -> String {
    let often = "is it restarting, or out of sessions";
    match instead_of {
        None => format!(": {often}?"),
        Some(Method::Options) => format!(
            " instead of answering OPTIONS: {often}, or speaks that port TLS (rtsps://), or HTTP without a tunnel in it?"
        ),
        Some(request) => format!(" instead of answering {request}: {often}?"),
    }
}

/// Behind the GET nothing came at all, or nothing but its consent.
fn tunnel_closed(instead_of: Option<Method>) -> String {
    let way_out = "If it can be reached by rtsp://, pull it by that: its media comes by TCP, too";
    match instead_of {
        None => format!(
            "closed the connection without a word when RTSP through HTTP was asked for: has it that at this port, and room \
             for one more? {way_out}"
        ),
        Some(request) => format!(
            "took RTSP through HTTP, and closed it without a word instead of answering {request}: is it out of sessions, or \
             is there a proxy on the way that does not let it through? {way_out}"
        ),
    }
}

fn picture_advice(limit: usize) -> String {
    if limit < FRAME_MAX.as_usize() {
        format!("lower its bitrate, or raise rtsp.max_frame, up to {FRAME_MAX}")
    } else {
        "lower its bitrate or its resolution, larger ones are not taken".to_owned()
    }
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
