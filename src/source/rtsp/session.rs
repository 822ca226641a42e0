//! One attempt on a camera: the dialog, its sockets and the reader of its packets, until something fails.
//!
//! Owns what is driven by what. A shell. Never retries: it ends with the reason.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use sluice_config::{Line, Rtsp, Transport};

use super::connection::{Arrival, Connection, MayLie, now};
use super::dialog::{Dialog, Event};
use super::failure::Failure;
use super::flow::Flow;
use super::keyframe::Asking;
use super::reader::Reader;
use super::tunnel::PostRefused;
use super::ways::Ways;
use super::{Journal, RtspSettings, TEARDOWN_WAIT};
use crate::stream::Sink;
use crate::track::KeyframeRequest;

/// Pictures that may stay away over UDP once the camera has closed the RTSP connection. Some close it after PLAY and
/// send on; of those that went away nothing more comes. Longer delays the next attempt on the latter.
const WITHOUT_STREAM: Duration = Duration::from_secs(2);

/// A camera's session, from attempt to attempt.
pub(super) struct Session {
    dialog: Dialog,
    connection: Option<Connection>,
    asking: Asking,
    ways: Ways,
}

impl Session {
    /// Of a camera that is asked for a keyframe when `keyframe` does.
    pub(super) fn new(settings: &RtspSettings, keyframe: KeyframeRequest) -> Session {
        let dialog = Dialog::new(settings, rand::random());
        let asking = Asking::new(keyframe, rand::random::<u32>().into());
        Session { dialog, connection: None, asking, ways: Ways::default() }
    }

    /// Makes one attempt; where the way of media is to be found out, and none came or too much was lost, a second one by the
    /// other way. Dropping
    /// the future leaves the session to [`Session::end`].
    pub(super) async fn attempt(
        &mut self,
        settings: &RtspSettings,
        sink: &mut impl Sink,
        journal: &mut Journal,
        flow: &mut Flow,
    ) -> Failure {
        let wanted = settings.rtsp.transport;
        let failure = self.by_one_way(settings, sink, journal, flow).await;
        if !self.ways.failed(wanted, &failure, flow) {
            return failure;
        }
        self.end(TEARDOWN_WAIT).await;
        journal.turned(&settings.stream, &failure);
        sink.turned();
        // What came by the way that is left says nothing about the other.
        *flow = Flow::default();
        let failure = self.by_one_way(settings, sink, journal, flow).await;
        self.ways.failed(wanted, &failure, flow);
        failure.after_all_ways()
    }

    async fn by_one_way(
        &mut self,
        settings: &RtspSettings,
        sink: &mut impl Sink,
        journal: &mut Journal,
        flow: &mut Flow,
    ) -> Failure {
        let mut settings = settings.clone();
        let wanted = settings.rtsp.transport;
        let in_line = settings.camera.line() != Line::Plain;
        let transport = self.ways.next(wanted, in_line);
        settings.rtsp.transport = transport;
        self.dialog.begin(transport);
        let mut reader = Reader::new(&settings, sink, journal, flow);
        if wanted == Transport::Auto && transport == Transport::Udp {
            reader.hurry();
            if self.ways.minds_loss() {
                reader.mind_loss();
            }
            self.dialog.allow_tcp();
        }
        let failure = match self.connect(&settings).await {
            Ok(()) => self.read(&settings, &mut reader).await,
            Err(failure) => failure,
        };
        if self.dialog.transport() != transport {
            self.ways.refused(transport);
        }
        failure
    }

    /// Takes other keys for the attempts to come. What is known of the camera stays.
    pub(super) fn take(&mut self, rtsp: &Rtsp) {
        self.dialog.take(rtsp);
    }

    /// Media came by TCP where the way was looked for, or did not; as it was remembered of the same camera.
    pub(super) fn recall(&mut self, by_tcp: bool) {
        self.ways.recall(by_tcp);
    }

    /// Whether TCP is next where the way is looked for.
    pub(super) fn is_by_tcp(&self) -> bool {
        self.ways.is_by_tcp()
    }

    /// Why the last attempt failed, in words that read on behind "camera HOST:PORT ".
    pub(super) fn words(&self, failure: &Failure) -> String {
        format!("{}{failure}", self.dialog.detour())
    }

    /// What was said in the last attempt.
    pub(super) fn transcript(&self) -> String {
        self.dialog.transcript()
    }

    /// What is known of the camera by now.
    pub(super) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// Tells the camera that its session ends, and waits for its word for `limit`. Cameras hold few sessions.
    pub(super) async fn end(&mut self, limit: Duration) {
        let Session { dialog, connection, .. } = self;
        if let Some(connection) = connection
            && connection.has_line()
            && dialog.tear_down(now())
        {
            let farewell = async {
                while let Ok(
                    Arrival::Stream | Arrival::Nothing | Arrival::Datagrams(..) | Arrival::Reports(..),
                ) = connection.turn(dialog, None, MayLie::No).await
                {
                    while let Some(event) = dialog.poll(now()) {
                        if matches!(event, Event::Over | Event::Failed(_)) {
                            return;
                        }
                    }
                }
            };
            let _ = tokio::time::timeout(limit, farewell).await;
        }
        self.connection = None;
    }

    async fn connect(&mut self, settings: &RtspSettings) -> Result<(), Failure> {
        self.connection = None;
        self.connection = Some(Connection::open(&mut self.dialog, settings).await?);
        self.dialog.connected(now());
        Ok(())
    }

    /// Reads until the attempt has failed.
    async fn read<S: Sink>(&mut self, settings: &RtspSettings, reader: &mut Reader<'_, S>) -> Failure {
        // Since when there is no RTSP connection any more.
        let mut closed: Option<Instant> = None;
        while let Some(connection) = &mut self.connection {
            let gone =
                closed.map(|closed| reader.heard().map_or(closed, |at| at.max(closed)) + WITHOUT_STREAM);
            let deadline = self.dialog.deadline().into_iter().chain(reader.deadline()).chain(gone).min();
            let arrival = connection.turn(&mut self.dialog, deadline, reader.may_lie(now())).await;
            let now = now();
            let outlives =
                self.dialog.is_playing() && self.dialog.tracks().iter().all(|track| track.port.is_some());
            if outlives && matches!(arrival, Ok(Arrival::Closed) | Err(_)) {
                tracing::debug!(
                    stream = settings.stream,
                    "the camera closed the RTSP connection; reading on over UDP"
                );
                connection.drop_line();
                closed = Some(now);
                continue;
            }
            if gone.is_some_and(|gone| gone <= now) && matches!(arrival, Ok(Arrival::Nothing)) {
                return Failure::Closed(None);
            }
            let mut event = match arrival {
                Ok(Arrival::Stream) => self.dialog.poll(now),
                Ok(Arrival::Nothing) => None,
                Ok(Arrival::Datagrams(media, packets)) => {
                    for packet in packets {
                        if let Err(failure) = reader.datagram(media, packet, now) {
                            return failure;
                        }
                    }
                    None
                }
                Ok(Arrival::Reports(media, reports)) => {
                    reports.iter().for_each(|report| reader.report(media, report, now));
                    None
                }
                Ok(Arrival::Closed) => Some(self.dialog.handle_close()),
                Err(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<PostRefused>()) {
                    Some(refused) => match connection.sign_in(&mut self.dialog, refused, settings).await {
                        Ok(()) => None,
                        Err(failure) => return failure,
                    },
                    None => Some(match self.dialog.handle_close() {
                        // TLS that ends without a farewell is closed, too.
                        Event::Failed(Failure::Closed(None)) if error.kind() != ErrorKind::UnexpectedEof => {
                            Event::Failed(Failure::Broken(error.to_string()))
                        }
                        event => event,
                    }),
                },
            };
            // One read may bring many packets. Deadlines are looked at whatever came: a flood is no sign of life.
            loop {
                let Some(this) = event.take() else {
                    if self.dialog.deadline().is_some_and(|deadline| deadline <= now) {
                        event = self.dialog.handle_timeout(now);
                    }
                    if event.is_some() {
                        continue;
                    }
                    break;
                };
                if let Err(failure) = self.handle(this, settings, reader, now).await {
                    return failure;
                }
                event = self.dialog.poll(now);
            }
            let stranger = self.connection.as_ref().and_then(Connection::stranger);
            if let Err(failure) = reader.handle_timeout(self.dialog.is_playing(), stranger, now) {
                return failure;
            }
            self.ask(reader, now);
        }
        Failure::Closed(None)
    }

    /// Asks for a keyframe if somebody needs one and the camera lets it be asked.
    fn ask<S: Sink>(&mut self, reader: &Reader<'_, S>, now: Instant) {
        let Session { dialog, connection: Some(connection), asking, .. } = self else { return };
        let Some((media, ssrc)) = reader.askable().filter(|_| dialog.is_playing()) else { return };
        if let Some(packet) = asking.due(now, ssrc) {
            tracing::debug!(%ssrc, "the camera is asked for a keyframe");
            connection.report(dialog, media, &packet);
        }
    }

    async fn handle<S: Sink>(
        &mut self,
        event: Event,
        settings: &RtspSettings,
        reader: &mut Reader<'_, S>,
        now: Instant,
    ) -> Result<(), Failure> {
        match event {
            Event::Packet(channel, packet) => reader.interleaved(channel, packet, now)?,
            Event::Connect => self.connect(settings).await?,
            Event::Described => {
                let mut tracks = reader.choose(self.dialog.description())?;
                for track in &mut tracks {
                    match (settings.rtsp.transport, &mut self.connection) {
                        (Transport::Udp, Some(connection)) => {
                            track.port = Some(connection.open_ports(track.media)?);
                        }
                        (transport, _) => track.shared = transport == Transport::Multicast,
                    }
                }
                self.dialog.set_up(tracks, now);
            }
            Event::Ready => {
                if let Some(connection) = &mut self.connection {
                    connection.prepare(self.dialog.tracks())?;
                }
                reader.prepare(self.dialog.tracks(), self.dialog.notes());
            }
            Event::Failed(failure) => return Err(failure),
            Event::Over => return Err(Failure::Closed(None)),
        }
        Ok(())
    }
}
