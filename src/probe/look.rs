//! One look at a camera, whoever asks for it. A shell: it waits.
//!
//! Owns what is looked for and for how long: the camera is read by the server's own session ([`rtsp::once`]) into a sink
//! that measures instead of publishing. Its second stream, where the URL tells which that is, comes behind the first and not
//! beside it: a camera that has one session would end the first for the second. Never reconnects, and never prints a password.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_config::{Fingerprint, Reach, Rtsp, RtspUrl, StreamName, Transport};
use sluice_media::{AccessUnit, AudioFrame, Kind, SourceReport};
use tokio::sync::Notify;

use super::measure::Measure;
use super::pair::{self, Other};
use super::report::{Found, Report, Two};
use crate::source::rtsp::{self, RtspSettings};
use crate::stream::{Formats, Sink, SourceState};

/// Of the time that is given, the last part of so many is for the camera's word to TEARDOWN.
const FAREWELL_PART: u32 = 10;

/// Hundredths of the time that are for the first of two streams. More leaves too little for a keyframe of the second; less
/// does not see how far apart the keyframes of the first are.
const FIRST_OF_TWO: u32 = 60;

/// What is to be looked at, and how.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The camera.
    pub(super) url: RtspUrl,
    /// Of the stream in the lines for the configuration file.
    pub(super) name: StreamName,
    /// How media shall come; TCP, then UDP if the camera says that it has nothing else, unless given.
    pub(super) transport: Option<Transport>,
    /// Of the camera's certificate, where it is its own.
    pub(super) fingerprint: Option<Fingerprint>,
    /// For all of it.
    pub(super) time: Duration,
    /// Where the camera may be; anywhere unless given.
    pub(super) reach: Option<Reach>,
}

/// Looks until it has seen enough, the time is over, or `interrupt` is ready: at the camera, and at its second stream if it
/// let us in.
pub(super) async fn look(wanted: &Wanted, interrupt: impl Future<Output = ()>) -> Report {
    let mut interrupt = pin!(interrupt);
    let other = pair::other(&wanted.url);
    let began = Instant::now();
    let time = if other.is_some() { wanted.time * FIRST_OF_TWO / 100 } else { wanted.time };
    let first = Attempt { wanted, url: &wanted.url, transport: wanted.transport, time };
    let (mut report, interrupted) = first.make(interrupt.as_mut()).await;
    if let Some(Other { layer, url }) = other.filter(|_| report.is_reached() && !interrupted) {
        let time = wanted.time.saturating_sub(began.elapsed());
        let transport = report.found_transport().or(wanted.transport);
        let second = Attempt { wanted, url: &url, transport, time };
        let (second, _) = second.make(interrupt.as_mut()).await;
        let Wanted { url: first, name, fingerprint, .. } = wanted;
        report.join(&Two { first, other: &url, layer, name, fingerprint: *fingerprint }, second);
        report.took(began.elapsed());
    }
    report
}

/// A look at one stream.
struct Attempt<'a> {
    wanted: &'a Wanted,
    url: &'a RtspUrl,
    transport: Option<Transport>,
    /// For all of it.
    time: Duration,
}

impl Attempt<'_> {
    /// Once, or twice where the camera has no TCP and nobody asked for it. Returns whether it was interrupted, too.
    async fn make(self, mut interrupt: Pin<&mut impl Future<Output = ()>>) -> (Report, bool) {
        let Attempt { wanted, url, mut transport, time } = self;
        let (began, farewell) = (Instant::now(), time / FAREWELL_PART);
        let until = began + (time - farewell);
        loop {
            let settings = self.settings(transport);
            let enough = Notify::new();
            let mut sink = Probe { measure: Measure::default(), enough: &enough };
            let interrupted = Cell::new(false);
            let stopped = async {
                tokio::select! {
                    () = enough.notified() => {}
                    () = &mut interrupt => interrupted.set(true),
                    () = tokio::time::sleep_until(until.into()) => {}
                }
            };
            let outcome = rtsp::once(&settings, &mut sink, stopped, farewell).await;
            if transport.is_none() && outcome.failed.as_ref().is_some_and(|failed| failed.wants_udp) {
                transport = Some(Transport::Udp);
                continue;
            }
            let report = Report::new(&Found {
                address: settings.camera.address(),
                url,
                name: &wanted.name,
                fingerprint: wanted.fingerprint,
                credentials: settings.camera.credentials.is_some(),
                outcome: &outcome,
                measure: &sink.measure,
                time: began.elapsed(),
                silence: sink.measure.silence(Instant::now()),
                interrupted: interrupted.get(),
            });
            return (report, interrupted.get());
        }
    }

    /// As the server treats a camera without a word in its configuration, but for time: what would be waited for longer
    /// than the probe lasts fails within it, in the words for that.
    fn settings(&self, transport: Option<Transport>) -> RtspSettings {
        let usual = Rtsp::default();
        let patience = self.time * 3 / 4;
        let rtsp = Rtsp {
            transport: transport.unwrap_or(usual.transport),
            connect_timeout: usual.connect_timeout.min(patience),
            request_timeout: usual.request_timeout.min(patience),
            data_timeout: usual.data_timeout.min(patience),
            reach: self.wanted.reach.clone(),
            fingerprint: self.wanted.fingerprint.into_iter().collect(),
            ..usual
        };
        RtspSettings { stream: self.wanted.name.to_string(), camera: self.url.clone(), rtsp }
    }
}

/// The sink: measures, and says when that is enough.
struct Probe<'a> {
    measure: Measure,
    enough: &'a Notify,
}

impl Probe<'_> {
    fn look(&self) {
        if self.measure.is_enough() {
            self.enough.notify_one();
        }
    }
}

impl Sink for Probe<'_> {
    fn state(&mut self, _: SourceState) {}

    fn begin(&mut self, formats: Formats, parameter_sets: &[Bytes]) {
        self.measure.begin(formats, parameter_sets);
    }

    fn video(&mut self, unit: AccessUnit) {
        self.measure.video(unit);
        self.look();
    }

    fn audio(&mut self, frame: AudioFrame) {
        self.measure.audio(&frame);
        self.look();
    }

    fn reported(&mut self, _: Kind, _: SourceReport) {}

    fn lost(&mut self, packets: u64) {
        self.measure.lost(packets);
    }

    fn remark(&mut self, notes: &[String]) {
        self.measure.remark(notes);
    }

    fn damaged_keyframe(&mut self, received: Instant) {
        self.measure.damaged_keyframe(received);
    }

    fn restarted(&mut self) {
        self.measure.restarted();
    }

    fn is_watched(&self) -> bool {
        true
    }
}
