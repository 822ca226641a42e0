//! The answer to an offer: which codec of the stream goes under which payload type, and the SDP.
//!
//! Owns negotiation and the text of answers and of ICE restart fragments. Pure: random numbers and
//! addresses are given to it. Never reads an offer's text and never touches an engine.

use std::fmt::Write;
use std::net::SocketAddr;

use sluice_media::rtcp::CNAME;
use sluice_media::{AudioCodec, Codec, Kind, shown};

use super::offer::{Offer, OfferError, Payload, Section, SectionKind, Setup, Transport};
use crate::peer::{Credentials, MediaParams};
use crate::stream::Formats;

/// `abs-send-time`: lets the receiver estimate bandwidth for REMB.
const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
/// `abs-capture-time`: tells the receiver when a picture or a sound was captured, by the camera's clock.
const ABS_CAPTURE_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
/// MID (RFC 9143 §15): which section an SSRC belongs to.
const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// Bytes that a header extension element in its short form carries (RFC 8285 §4.2).
const MID_EXTENSION_MAX: usize = 16;

/// Codecs of an offer that a refusal names. Browsers have up to ten.
const NAMES_MAX: usize = 16;

/// The outcome of negotiation: one entry per section of the offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// What each section carries; `None` where it carries nothing.
    pub media: Vec<Option<MediaParams>>,
    /// The feedback each section may use, as in `a=rtcp-fb`.
    feedback: Vec<Vec<&'static str>>,
}

impl Negotiated {
    /// The sections that are not rejected, the one that has the transport first (RFC 9143 §7.3.1).
    pub fn bundle(&self, offer: &Offer) -> Vec<usize> {
        let bearer = self.bearer(offer);
        let kept = |index: usize| self.media[index].is_some() || Some(index) == bearer;
        offer.bundle.iter().copied().filter(|&index| kept(index)).collect()
    }

    /// The section that carries nothing and is kept for its transport: the first of a bundle whose others have none but that.
    /// The offerer may have made no other one (`bundlePolicy: "max-bundle"`), and libwebrtc does not move what it has to
    /// another section ("Failed to setup RTCP mux"), so it is answered as inactive.
    fn bearer(&self, offer: &Offer) -> Option<usize> {
        let first = *offer.bundle.first()?;
        let shares = |index: &usize| self.media[*index].is_some() && offer.share_transport(first, *index);
        let needed = self.media[first].is_none() && offer.bundle.iter().any(shares);
        (needed && idle_payload(&offer.sections[first]).is_some()).then_some(first)
    }

    /// The offerer's transport.
    pub fn transport<'a>(&self, offer: &'a Offer) -> &'a Transport {
        let bearer = self.bearer(offer);
        offer.transport(|index| self.media[index].is_some() || Some(index) == bearer)
    }

    /// The `a=mid` of what is not rejected, in the order of the bundle.
    pub fn mids(&self, offer: &Offer) -> Vec<String> {
        self.bundle(offer).into_iter().map(|index| offer.sections[index].mid.clone()).collect()
    }
}

/// What identifies us in an answer.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// Our ICE credentials.
    pub credentials: &'a Credentials,
    /// SHA-256 fingerprint of our certificate.
    pub fingerprint: &'a str,
    /// Where we can be reached, best first.
    pub candidates: &'a [SocketAddr],
    /// The port for those who have no UDP, at the same addresses (RFC 6544), if there is one.
    pub tcp_port: Option<u16>,
    /// `o=` session id (RFC 8866 §5.2).
    pub session_id: u64,
    /// Name of the stream: the `a=msid` that groups audio and video for lip sync.
    pub stream: &'a str,
}

/// Chooses payload types for what the stream carries.
///
/// `random` gives SSRCs, which are all different whatever it gives. Refuses an offer that cannot carry the stream's video, and one that would
/// carry nothing at all.
pub fn negotiate(
    offer: &Offer,
    formats: &Formats,
    mut random: impl FnMut() -> u32,
) -> Result<Negotiated, OfferError> {
    let mut negotiated = Negotiated { media: Vec::new(), feedback: Vec::new() };
    let mut taken = Vec::new();
    // Two equal ones in one session would seal two packets under one index of one key.
    let mut ssrc = || {
        let mut ssrc = random();
        // 0 is what browsers probe with.
        while ssrc == 0 || taken.contains(&ssrc) {
            ssrc = ssrc.wrapping_add(1);
        }
        taken.push(ssrc);
        ssrc
    };
    for section in &offer.sections {
        let choice = if section.disabled { None } else { choose(section, formats)? };
        let Some((codec, payload)) = choice else {
            negotiated.media.push(None);
            negotiated.feedback.push(Vec::new());
            continue;
        };
        // Repairs come from the video's ring; audio has none, and browsers do not ask for it.
        let rtx = section.payloads.iter().filter(|_| codec.kind() == Kind::Video).find(|candidate| {
            candidate.is_repair()
                && candidate.parameter("apt").and_then(|apt| apt.parse().ok()) == Some(payload.payload_type)
        });
        // Browsers offer RED of Opus alone, and it is made of nothing else.
        let redundant = section.payloads.iter().filter(|_| codec == AudioCodec::Opus.into());
        let redundant = redundant.into_iter().find(|candidate| candidate.is_redundancy_of(payload));
        let extension =
            |wanted: &str| section.extensions.iter().find(|(_, uri)| uri == wanted).map(|(id, _)| *id);
        // Lost packets are sent again under RTX only: without it a NACK could not be answered.
        let feedback = payload.feedback().filter(|name| *name != "nack" || rtx.is_some()).collect();
        negotiated.feedback.push(feedback);
        negotiated.media.push(Some(MediaParams {
            mid: section.mid.clone(),
            codec,
            payload_type: payload.payload_type.into(),
            rtx_payload_type: rtx.map(|rtx| rtx.payload_type.into()),
            redundant_payload_type: redundant.map(|redundant| redundant.payload_type.into()),
            format: payload.format.clone(),
            ssrc: ssrc().into(),
            rtx_ssrc: ssrc().into(),
            abs_send_time_id: extension(ABS_SEND_TIME),
            abs_capture_time_id: extension(ABS_CAPTURE_TIME),
            mid_id: extension(MID).filter(|_| section.mid.len() <= MID_EXTENSION_MAX),
        }));
    }
    if negotiated.media.iter().all(Option::is_none) {
        return Err(OfferError::Nothing(describe(formats)));
    }
    Ok(negotiated)
}

fn choose<'a>(section: &'a Section, formats: &Formats) -> Result<Option<(Codec, &'a Payload)>, OfferError> {
    match section.kind {
        SectionKind::Other => Ok(None),
        // A stream plays without its audio if the viewer cannot hear it.
        SectionKind::Audio => Ok(formats.audio.as_ref().and_then(|audio| {
            let found = offered(section, audio.codec.into()).next();
            found.map(|payload| (audio.codec.into(), payload))
        })),
        SectionKind::Video => {
            let Some(video) = &formats.video else { return Ok(None) };
            let payloads: Vec<&Payload> = offered(section, video.codec.into()).collect();
            let parameters: Vec<&str> = payloads.iter().map(|payload| &*payload.format).collect();
            match video.codec.nal().choose(&parameters, video.profile_level_id) {
                Some(index) => Ok(Some((video.codec.into(), payloads[index]))),
                None => Err(OfferError::Video(video.codec.nal().lacking(
                    &parameters,
                    video.profile_level_id,
                    &names(section),
                ))),
            }
        }
    }
}

/// Codecs of sound that an offer takes, whatever the stream has now.
pub fn sounds(offer: &Offer) -> Vec<AudioCodec> {
    let is_heard = |section: &&Section| section.kind == SectionKind::Audio && !section.disabled;
    let takes = |codec: &AudioCodec| {
        offer
            .sections
            .iter()
            .filter(is_heard)
            .any(|section| offered(section, (*codec).into()).next().is_some())
    };
    AudioCodec::ALL.into_iter().filter(takes).collect()
}

/// The payload types of a section that carry `codec`.
fn offered(section: &Section, codec: Codec) -> impl Iterator<Item = &Payload> {
    section.payloads.iter().filter(move |payload| {
        payload.name.eq_ignore_ascii_case(codec.encoding_name()) && payload.clock_rate == codec.clock_rate()
    })
}

/// What a section offers, each codec once.
fn names(section: &Section) -> String {
    let mut names: Vec<&str> = Vec::new();
    for payload in section.payloads.iter().filter(|payload| !payload.is_repair()) {
        if names.len() < NAMES_MAX && !names.contains(&payload.name.as_str()) {
            names.push(shown(&payload.name));
        }
    }
    if names.is_empty() { "no codec at all".to_owned() } else { names.join(", ") }
}

fn describe(formats: &Formats) -> String {
    let video = formats.video.as_ref().map(|video| format!("{} video", video.codec.encoding_name()));
    let audio = formats.audio.as_ref().map(|audio| format!("{} audio", audio.codec.encoding_name()));
    let parts: Vec<String> = [video, audio].into_iter().flatten().collect();
    if parts.is_empty() { "nothing yet".to_owned() } else { parts.join(", ") }
}

/// The SDP of the answer, CRLF line ends.
pub fn answer(offer: &Offer, negotiated: &Negotiated, identity: &Identity<'_>) -> String {
    let mut sdp = format!(
        "v=0\r\no=- {} 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=msid-semantic: WMS {}\r\na=ice-lite\r\n",
        identity.session_id,
        negotiated.mids(offer).join(" "),
        identity.stream,
    );
    let tagged = negotiated.bundle(offer).first().copied();
    let setup = negotiated.transport(offer).setup;
    for (index, section) in offer.sections.iter().enumerate() {
        match &negotiated.media[index] {
            Some(media) => {
                carried(&mut sdp, setup, section, media, &negotiated.feedback[index], identity);
                transport(&mut sdp, identity, Some(index) == tagged);
            }
            None if Some(index) == tagged => {
                idle(&mut sdp, setup, section);
                transport(&mut sdp, identity, true);
            }
            None => rejected(&mut sdp, section),
        }
    }
    sdp
}

/// The fragment that answers an ICE restart (RFC 9725 §4.3.3, RFC 8840 §9).
pub fn restart_fragment(mids: &[String], identity: &Identity<'_>) -> String {
    let mut sdp = format!("a=ice-lite\r\na=group:BUNDLE {}\r\n", mids.join(" "));
    let first = mids.first().map(String::as_str).unwrap_or_default();
    let _ = write!(sdp, "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{first}\r\n");
    let Credentials { ufrag, pwd } = identity.credentials;
    let _ = write!(sdp, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n");
    candidates(&mut sdp, identity);
    sdp
}

/// What a section begins with that is not rejected.
fn head(sdp: &mut String, section: &Section, formats: &str, direction: &str, setup: Setup) {
    let setup = if setup == Setup::Passive { "active" } else { "passive" };
    let Section { media, proto, mid, .. } = section;
    // Writing to a String cannot fail.
    let _ = write!(
        sdp,
        "m={media} 9 {proto} {formats}\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\n\
         a=rtcp-mux\r\na=rtcp-mux-only\r\na=rtcp-rsize\r\na=setup:{setup}\r\n",
    );
}

/// What a payload type is.
fn format(sdp: &mut String, payload_type: u8, name: &str, clock_rate: u32, channels: u8, parameters: &str) {
    let _ = write!(sdp, "a=rtpmap:{payload_type} {name}/{clock_rate}");
    if channels > 1 {
        let _ = write!(sdp, "/{channels}");
    }
    sdp.push_str("\r\n");
    if !parameters.is_empty() {
        let _ = write!(sdp, "a=fmtp:{payload_type} {parameters}\r\n");
    }
}

/// The format that a section repeats which carries nothing: any that was offered (RFC 3264 §6.1).
fn idle_payload(section: &Section) -> Option<&Payload> {
    section.payloads.iter().find(|payload| !payload.is_repair())
}

/// A section with a transport and no media.
fn idle(sdp: &mut String, setup: Setup, section: &Section) {
    let Some(payload) = idle_payload(section) else { return };
    let number = payload.payload_type;
    head(sdp, section, &number.to_string(), "inactive", setup);
    format(sdp, number, &payload.name, payload.clock_rate, payload.channels, &payload.format);
}

fn carried(
    sdp: &mut String,
    setup: Setup,
    section: &Section,
    media: &MediaParams,
    feedback: &[&str],
    identity: &Identity<'_>,
) {
    let pt = media.payload_type;
    let name = section.payloads.iter().find(|payload| payload.payload_type == *pt);
    let channels = name.map_or(1, |payload| payload.channels);
    let rtx = media.rtx_payload_type;
    let redundant = media.redundant_payload_type;
    // The media's own first: what is behind it is sent only to who needs it.
    let mut formats = pt.to_string();
    for other in [rtx, redundant].into_iter().flatten() {
        let _ = write!(formats, " {other}");
    }
    head(sdp, section, &formats, "sendonly", setup);
    let extensions = [
        (media.abs_send_time_id, ABS_SEND_TIME),
        (media.abs_capture_time_id, ABS_CAPTURE_TIME),
        (media.mid_id, MID),
    ];
    for (id, uri) in extensions {
        if let Some(id) = id {
            let _ = write!(sdp, "a=extmap:{id} {uri}\r\n");
        }
    }
    format(sdp, *pt, media.codec.encoding_name(), media.codec.clock_rate(), channels, &media.format);
    if let Some(redundant) = redundant {
        format(sdp, *redundant, "red", media.codec.clock_rate(), channels, &format!("{pt}/{pt}"));
    }
    for feedback in feedback {
        let _ = write!(sdp, "a=rtcp-fb:{pt} {feedback}\r\n");
    }
    let stream = identity.stream;
    let track = if section.kind == SectionKind::Video { "video" } else { "audio" };
    let _ = write!(sdp, "a=msid:{stream} {track}\r\n");
    if let Some(rtx) = rtx {
        let clock = media.codec.clock_rate();
        let _ = write!(sdp, "a=rtpmap:{rtx} rtx/{clock}\r\na=fmtp:{rtx} apt={pt}\r\n");
        let _ = write!(sdp, "a=ssrc-group:FID {} {}\r\n", media.ssrc, media.rtx_ssrc);
    }
    // The media's own SSRC first: Chromium takes the first for it, whatever the group says.
    for ssrc in [Some(media.ssrc), rtx.map(|_| media.rtx_ssrc)].into_iter().flatten() {
        let _ = write!(sdp, "a=ssrc:{ssrc} cname:{CNAME}\r\n");
    }
}

fn transport(sdp: &mut String, identity: &Identity<'_>, with_candidates: bool) {
    let Credentials { ufrag, pwd } = identity.credentials;
    let _ = write!(
        sdp,
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=fingerprint:sha-256 {}\r\n",
        identity.fingerprint
    );
    // Bundled sections share the tagged one's candidates (RFC 9143 §7.3.1).
    if with_candidates {
        candidates(sdp, identity);
    }
}

fn candidates(sdp: &mut String, identity: &Identity<'_>) {
    let count = identity.candidates.len() as u32;
    for (index, address) in identity.candidates.iter().enumerate() {
        // Type preference 126 for host candidates, local preference by order, component 1
        // (RFC 8445 §5.1.2.1).
        let local_preference = 65_535 - (index as u32).min(count);
        let priority = (126 << 24) | (local_preference << 8) | 255;
        let (ip, port) = (address.ip(), address.port());
        let _ = write!(sdp, "a=candidate:{} 1 udp {priority} {ip} {port} typ host\r\n", index + 1);
    }
    let Some(port) = identity.tcp_port else { return sdp.push_str("a=end-of-candidates\r\n") };
    for (index, address) in identity.candidates.iter().enumerate() {
        // Below every UDP candidate (RFC 6544 §4.2 asks for that): type preference 90, direction preference 4 for passive.
        let other_preference = 8_191 - (index as u32).min(count);
        let priority = (90 << 24) | (((4 << 13) | other_preference) << 8) | 255;
        let (number, ip) = (identity.candidates.len() + index + 1, address.ip());
        let _ = write!(sdp, "a=candidate:{number} 1 tcp {priority} {ip} {port} typ host tcptype passive\r\n");
    }
    sdp.push_str("a=end-of-candidates\r\n");
}

/// A section that is not carried. Some format must be there and none is looked at (RFC 3264 §6); of media
/// it is the static type 0, because strict players want an `a=rtpmap` for any dynamic one.
fn rejected(sdp: &mut String, section: &Section) {
    let formats = if section.media == "application" { &section.formats } else { "0" };
    let _ = write!(sdp, "m={} 0 {} {formats}\r\nc=IN IP4 0.0.0.0\r\n", section.media, section.proto);
    if !section.mid.is_empty() {
        let _ = write!(sdp, "a=mid:{}\r\n", section.mid);
    }
    sdp.push_str("a=inactive\r\n");
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
