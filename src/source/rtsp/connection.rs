//! The sockets of one session: a line for RTSP, and ports for RTP over UDP where that is asked for. A shell: it waits.
//!
//! Owns that one arrival costs one read.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::Sleep;

use super::RtspSettings;
use super::dialog::{Dialog, Track};
use super::failure::Failure;
use super::line::Line;
use super::portions::Portions;
use super::ports::Ports;
use super::rhythm::Rest;
use super::tunnel::PostRefused;

/// How long the executor of this thread may have no turn: it has nothing to do but to hear that the source is to stop, or has
/// other settings. Longer has that wait; its turn costs a fifth of what a picture does.
const DEAF: Duration = Duration::from_millis(200);

/// A session's sockets.
pub(super) struct Connection {
    line: Line,
    /// The camera closed the line, and still sends over UDP.
    without_line: bool,
    ports: Ports,
    /// Fires at a deadline or before it: to move it with every picture would cost more than to look too often.
    timer: Pin<Box<Sleep>>,
    portions: Portions,
    /// When the executor had its turn, while what comes may lie.
    heard: Instant,
}

/// How long what comes by the line may lie before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MayLie {
    /// Not at all.
    No,
    /// Until there is a portion of it.
    Portion,
    /// Until a picture is there, or it is time.
    Until(Rest),
}

/// What came.
pub(super) enum Arrival {
    /// The dialog has new bytes.
    Stream,
    Closed,
    /// Of which section of the description, and each packet.
    Datagrams(usize, Vec<Bytes>),
    /// Of which section, and each report.
    Reports(usize, Vec<Bytes>),
    /// A deadline may have passed.
    Nothing,
}

impl Connection {
    /// Connects to where the dialog wants to.
    pub(super) async fn open(dialog: &mut Dialog, settings: &RtspSettings) -> Result<Connection, Failure> {
        let line = Line::open(dialog, settings).await?;
        let ports = Ports::new(line.local(), line.peer());
        let timer = Box::pin(tokio::time::sleep_until((now() + settings.rtsp.data_timeout).into()));
        Ok(Connection {
            line,
            without_line: false,
            ports,
            timer,
            portions: Portions::new(now()),
            heard: now(),
        })
    }

    /// The half of a tunnel that has the requests is refused, and may be let in with credentials.
    pub(super) async fn sign_in(
        &mut self,
        dialog: &mut Dialog,
        refused: &PostRefused,
        settings: &RtspSettings,
    ) -> Result<(), Failure> {
        self.line.sign_in(dialog, refused, settings.rtsp.request_timeout).await
    }

    /// Opens a pair of UDP ports for the packets of section `media`; the even one.
    pub(super) fn open_ports(&mut self, media: usize) -> Result<u16, Failure> {
        self.ports.open(media)
    }

    /// The tracks are set up: groups are joined, firewalls opened, and ports that are not needed closed.
    pub(super) fn prepare(&mut self, tracks: &[Track]) -> Result<(), Failure> {
        self.ports.join(tracks)?;
        self.ports.punch(tracks);
        Ok(())
    }

    /// Sends a report about section `media`, the way its packets come. Lost is lost.
    pub(super) fn report(&self, dialog: &mut Dialog, media: usize, report: &[u8]) {
        let Some(track) = dialog.tracks().iter().find(|track| track.media == media).cloned() else { return };
        match track.port {
            None => dialog.interleave(track.channels.1, report),
            Some(_) => self.ports.report(&track, report),
        }
    }

    /// The camera closed the line; what comes over UDP is read on. Nothing is written any more.
    pub(super) fn drop_line(&mut self) {
        self.without_line = true;
    }

    /// Whether there is a line.
    pub(super) fn has_line(&self) -> bool {
        !self.without_line
    }

    /// Who else sent to our ports.
    pub(super) fn stranger(&self) -> Option<IpAddr> {
        self.ports.stranger()
    }

    /// Writes what the dialog has to say and waits for what comes, until `deadline` at most. What comes by the line may lie
    /// for as long as `may_lie` says.
    pub(super) async fn turn(
        &mut self,
        dialog: &mut Dialog,
        deadline: Option<Instant>,
        may_lie: MayLie,
    ) -> io::Result<Arrival> {
        let Connection { line, without_line, ports, timer, portions, heard } = self;
        if *without_line {
            dialog.output().clear();
        }
        if let Some(deadline) = deadline
            && (timer.is_elapsed() || timer.deadline().into_std() > deadline)
        {
            timer.as_mut().reset(deadline.into());
        }
        let by_line = !*without_line && dialog.output().is_empty() && ports.is_empty();
        if by_line && may_lie != MayLie::No {
            let began = now();
            if began.saturating_duration_since(*heard) >= DEAF {
                *heard = began;
                tokio::task::yield_now().await;
            }
            let read = match may_lie {
                MayLie::Until(Rest { bytes, until }) => {
                    line.read_at_rest(bytes, until.saturating_duration_since(began), dialog.input())?
                }
                _ => {
                    line.stop_resting()?;
                    portions.rest(began);
                    line.read_now(dialog.input())?
                }
            };
            if let Some(read) = read {
                portions.note(read);
                return Ok(if read == 0 { Arrival::Closed } else { Arrival::Stream });
            }
        }
        line.stop_resting()?;
        poll_fn(|context| {
            if !*without_line {
                // Almost always there is room, and reading goes on at once.
                line.write(context, dialog.output())?;
                if let Poll::Ready(read) = line.read(context, dialog.input()) {
                    let read = read?;
                    portions.note(read);
                    return Poll::Ready(Ok(if read == 0 { Arrival::Closed } else { Arrival::Stream }));
                }
            }
            if !ports.is_empty()
                && let Poll::Ready((at, reports)) = ports.poll_ready(context)
            {
                let (media, came) = ports.read(at, reports);
                let arrival = if reports { Arrival::Reports } else { Arrival::Datagrams };
                return Poll::Ready(Ok(arrival(media, came)));
            }
            if deadline.is_some() && timer.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(Arrival::Nothing));
            }
            Poll::Pending
        })
        .await
    }
}

/// The time: this shell's clock.
#[expect(clippy::disallowed_methods, reason = "this shell reads the clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}
