//! One attempt on a camera: DESCRIBE, SETUP, PLAY, and its packets until something fails.
//!
//! Owns the dialogue with retina and its deadlines. Never retries: it ends with the reason.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use retina::client::{
    self, Described, InitialSequenceNumberPolicy, InitialTimestampPolicy, PacketItem, PlayOptions, Playing,
    Session, SessionGroup, SessionIdPolicy, SessionOptions, SetupOptions, TeardownPolicy,
    UnknownRtcpSsrcPolicy,
};
use retina::rtp::ReceivedPacket;
use tokio::time::{MissedTickBehavior, timeout};

use super::failure::{Detail, Failure, Request};
use super::formats::{Choice, Offer, choose};
use super::h264::{Depacketizer, Packet};
use super::{Journal, RtspSettings, Transport};
use crate::source::Sink;
use crate::track::{AccessUnit, AudioFrame};

/// How often a silent session is looked at: the precision of the data timeout.
///
/// Also the longest stall by a camera that sends requests of its own: retina 0.4.21 then goes to sleep
/// without having asked to be woken by the connection (client/mod.rs:2605), and only our asking again wakes
/// it. More often costs a wake-up per camera each.
const TICK: Duration = Duration::from_millis(500);

/// From when to when an attempt brought media.
#[derive(Debug, Default)]
pub(super) struct Flow {
    since: Option<Instant>,
    until: Option<Instant>,
}

impl Flow {
    /// How long media flowed; zero if it never did.
    pub(super) fn duration(&self) -> Duration {
        match (self.since, self.until) {
            (Some(since), Some(until)) => until.saturating_duration_since(since),
            _ => Duration::ZERO,
        }
    }

    fn note(&mut self, received: Instant) -> bool {
        self.until = Some(received);
        self.since.replace(self.since.unwrap_or(received)).is_none()
    }
}

/// Makes one attempt. Dropping the future ends the session, with a TEARDOWN as `teardown` says.
pub(super) async fn attempt(
    settings: &RtspSettings,
    group: &Arc<SessionGroup>,
    teardown: TeardownPolicy,
    sink: &mut impl Sink,
    journal: &mut Journal,
    flow: &mut Flow,
) -> Failure {
    let url = &settings.url;
    // retina's own error for these would hold the URL.
    if url.scheme() != "rtsp"
        || url.host().is_none()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Failure::Url;
    }
    let session = match described(settings, group, teardown).await {
        Ok(session) => session,
        Err(failure) => return failure,
    };
    let offers: Vec<Offer> =
        session.streams().iter().map(|stream| Offer::new(stream, session.sdp())).collect();
    let choice = choose(&offers);
    if choice.video.is_none() && choice.audio.is_none() {
        return Failure::Nothing(choice.notes);
    }
    let session = match playing(session, settings, &choice).await {
        Ok(session) => session,
        Err(failure) => return failure,
    };
    let reader = Reader::new(settings, offers, choice, sink, journal, flow);
    reader.read(session).await
}

async fn described(
    settings: &RtspSettings,
    group: &Arc<SessionGroup>,
    teardown: TeardownPolicy,
) -> Result<Session<Described>, Failure> {
    let credentials = settings.credentials.as_ref().map(|credentials| client::Credentials {
        username: credentials.username.clone(),
        password: credentials.password.clone(),
    });
    let options = SessionOptions::default()
        .creds(credentials)
        .session_group(group.clone())
        .teardown(teardown)
        .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")).to_owned())
        // Some cameras answer each SETUP with another session, and mean the first.
        .session_id(SessionIdPolicy::UseFirst);
    let limit = settings.connect_timeout + settings.request_timeout;
    match timeout(limit, Session::describe(settings.url.clone(), options)).await {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(error)) => Err(Failure::of(Request::Describe, &error, settings)),
        Err(_) => Err(Failure::NoAnswer(limit)),
    }
}

async fn playing(
    mut session: Session<Described>,
    settings: &RtspSettings,
    choice: &Choice,
) -> Result<Session<Playing>, Failure> {
    let limit = settings.request_timeout;
    for index in choice.video.into_iter().chain(choice.audio.map(|(index, _)| index)) {
        let transport = match settings.transport {
            Transport::Tcp => client::Transport::Tcp(client::TcpTransportOptions::default()),
            Transport::Udp => client::Transport::Udp(client::UdpTransportOptions::default()),
        };
        let setup = session.setup(index, SetupOptions::default().transport(transport));
        answered(Request::Setup, timeout(limit, setup).await, settings)?;
    }
    // `RTP-Info` is wrong or missing in many cameras, and a wrong sequence number there ends a TCP session at
    // its first packet. We place pictures by arrival and RTP timestamp, so the first packet may say where it
    // all begins. An SSRC that RTCP names first would make retina refuse RTP with another; RTCP is not used,
    // so it is let through. The limit on timestamp jumps stays unset: a jump ends the session there, here the
    // timeline absorbs it.
    let options = PlayOptions::default()
        .initial_timestamp(InitialTimestampPolicy::Ignore)
        .initial_seq(InitialSequenceNumberPolicy::Ignore)
        .unknown_rtcp_ssrc(UnknownRtcpSsrcPolicy::ProcessPackets);
    answered(Request::Play, timeout(limit, session.play(options)).await, settings)
}

fn answered<T>(
    request: Request,
    outcome: Result<Result<T, retina::Error>, tokio::time::error::Elapsed>,
    settings: &RtspSettings,
) -> Result<T, Failure> {
    match outcome {
        Ok(answer) => answer.map_err(|error| Failure::of(request, &error, settings)),
        Err(_) => Err(Failure::NoAnswerTo(request, settings.request_timeout)),
    }
}

/// Turns the packets of one session into units of media.
struct Reader<'a, S> {
    settings: &'a RtspSettings,
    offers: Vec<Offer>,
    choice: Choice,
    depacketizer: Depacketizer,
    units: Vec<AccessUnit>,
    /// Packets of a payload type that was not announced.
    strangers: u64,
    sink: &'a mut S,
    journal: &'a mut Journal,
    flow: &'a mut Flow,
}

impl<'a, S: Sink> Reader<'a, S> {
    fn new(
        settings: &'a RtspSettings,
        offers: Vec<Offer>,
        choice: Choice,
        sink: &'a mut S,
        journal: &'a mut Journal,
        flow: &'a mut Flow,
    ) -> Reader<'a, S> {
        let parameter_sets = choice.video.map(|index| offers[index].parameter_sets()).unwrap_or_default();
        sink.begin(choice.formats(&offers), &parameter_sets);
        Reader {
            settings,
            offers,
            choice,
            depacketizer: Depacketizer::new(settings.max_frame_bytes),
            units: Vec::new(),
            strangers: 0,
            sink,
            journal,
            flow,
        }
    }

    /// Reads until the session ends. An error is the end: retina forbids asking it again.
    async fn read(mut self, mut session: Session<Playing>) -> Failure {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let start = ticks.tick().await.into_std();
        loop {
            tokio::select! {
                biased;
                now = ticks.tick() => {
                    let last = self.flow.until.unwrap_or(start);
                    if now.into_std().saturating_duration_since(last) >= self.settings.data_timeout {
                        return self.silent();
                    }
                }
                item = session.next() => match item {
                    Some(Ok(PacketItem::Rtp(packet))) => if let Err(failure) = self.packet(packet) {
                        return failure;
                    },
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Failure::Stream(Detail::of(&error, self.settings)),
                    None => return Failure::Closed,
                },
            }
        }
    }

    fn silent(&self) -> Failure {
        Failure::Silent {
            what: if self.choice.video.is_some() { "whole picture" } else { "audio" },
            limit: self.settings.data_timeout,
            transport: self.settings.transport,
            discarded: self.strangers + self.depacketizer.discarded(),
        }
    }

    fn packet(&mut self, packet: ReceivedPacket) -> Result<(), Failure> {
        let index = packet.stream_id();
        let lost = packet.loss();
        if lost > 0 {
            self.sink.lost(u64::from(lost));
        }
        let header = packet.header();
        // Comfort noise, events, and what else shares a channel. Other clients drop these too.
        if self.offers[index].payload_type != header.payload_type() {
            self.strangers += 1;
            return Ok(());
        }
        let timestamp = packet.timestamp().timestamp();
        let received = packet.ctx().received();
        let payload = packet.into_payload_bytes();
        if payload.is_empty() {
            return Ok(());
        }
        match self.choice.audio {
            Some((audio, _)) if audio == index => self.audio(payload, timestamp, received),
            _ => {
                let after_loss = lost > 0;
                return self.video(Packet {
                    payload,
                    timestamp,
                    marker: header.mark(),
                    after_loss,
                    received,
                });
            }
        }
        Ok(())
    }

    fn video(&mut self, packet: Packet) -> Result<(), Failure> {
        let mut units = std::mem::take(&mut self.units);
        self.depacketizer
            .push(packet, &mut units)
            .map_err(|_| Failure::PictureTooLarge(self.settings.max_frame_bytes))?;
        for unit in units.drain(..) {
            self.flows(unit.received);
            self.sink.video(unit);
        }
        self.units = units;
        Ok(())
    }

    fn audio(&mut self, payload: Bytes, timestamp: i64, received: Instant) {
        // With video, only pictures show that the camera lives: its encoder can hang while the microphone
        // goes on.
        if self.choice.video.is_none() {
            self.flows(received);
        }
        self.sink.audio(AudioFrame { payload, timestamp, received });
    }

    /// Notes a sign of life.
    fn flows(&mut self, received: Instant) {
        if self.flow.note(received) {
            self.journal.flows(&self.settings.stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn flow_lasts_from_the_first_unit_to_the_last_and_only_the_first_begins_it() {
        let start = Instant::now();
        let mut flow = Flow::default();
        assert_eq!(flow.duration(), Duration::ZERO);
        assert!(flow.note(start));
        assert!(!flow.note(start + Duration::from_secs(4)));
        assert!(!flow.note(start + Duration::from_secs(9)));
        assert_eq!(flow.duration(), Duration::from_secs(9));
    }
}
