//! The RTSP source against a real server (GStreamer, tests/harness/camera.py) and against hostile ones.

#![expect(clippy::disallowed_methods, reason = "a test has sockets, clocks and processes")]

mod cameras;
mod hostile;
mod lifecycle;
mod lines;
mod models;
mod oddities;
mod probe;
mod server;

use std::future::pending;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice::source::rtsp::memory::Record;
use sluice::source::rtsp::{self, RtspSettings};
use sluice::stream::{Formats, Sink, SourceState, Wishes};
use sluice_config::{Credentials, Rtsp, Transport};
use sluice_harness::Binary;
use sluice_media::{AccessUnit, AudioFrame, Kind, SourceReport};
use tokio::sync::{mpsc, watch};
use url::Url;

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// For anything that must happen at all; not a measurement.
const DEADLINE: Duration = Duration::from_secs(30);

const SPS: u8 = 7;
const PPS: u8 = 8;
const IDR: u8 = 5;

/// Parameter sets of a camera: 1280x720, Constrained Baseline.
const SPS_NAL: &[u8] = b"\x67\x42\xc0\x1f\xd9\x00\x50\x05\xbb\x01\x6a\x02\x02\x02\x80\x00\x00\x03\x00\x80\
    \x00\x00\x1e\x47\x8c\x19\x24";
const PPS_NAL: &[u8] = b"\x68\xcb\x8c\xb2";

#[derive(Debug)]
enum Seen {
    State(SourceState),
    Begun(Formats, Vec<Bytes>),
    Video(AccessUnit),
    Audio(AudioFrame),
    Reported(Kind, SourceReport),
    Lost(u64),
    Remarked(Vec<String>),
    Restarted,
}

struct Collector(mpsc::UnboundedSender<Seen>, bool);

impl Sink for Collector {
    fn state(&mut self, state: SourceState) {
        let _ = self.0.send(Seen::State(state));
    }
    fn begin(&mut self, formats: Formats, parameter_sets: &[Bytes]) {
        let _ = self.0.send(Seen::Begun(formats, parameter_sets.to_vec()));
    }
    fn video(&mut self, unit: AccessUnit) {
        let _ = self.0.send(Seen::Video(unit));
    }
    fn audio(&mut self, frame: AudioFrame) {
        let _ = self.0.send(Seen::Audio(frame));
    }
    fn reported(&mut self, kind: Kind, report: SourceReport) {
        let _ = self.0.send(Seen::Reported(kind, report));
    }
    fn lost(&mut self, packets: u64) {
        let _ = self.0.send(Seen::Lost(packets));
    }
    fn remark(&mut self, notes: &[String]) {
        let _ = self.0.send(Seen::Remarked(notes.to_vec()));
    }
    fn damaged_keyframe(&mut self, _: Instant) {}
    fn restarted(&mut self) {
        let _ = self.0.send(Seen::Restarted);
    }

    fn is_watched(&self) -> bool {
        self.1
    }
}

/// Done when `stop` is told, or nobody is left to tell it.
async fn told(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Settings that nobody changes.
fn fixed(settings: RtspSettings) -> watch::Receiver<Vec<RtspSettings>> {
    watch::channel(vec![settings]).1
}

/// A running source and what it told its sink.
struct Pull {
    seen: mpsc::UnboundedReceiver<Seen>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Pull {
    fn start(settings: RtspSettings) -> Pull {
        Pull::asking(settings, Wishes::default())
    }

    /// Of a camera that is asked for a keyframe or tried sooner when `wishes` say so.
    fn asking(settings: RtspSettings, wishes: Wishes) -> Pull {
        Pull::of(fixed(settings), wishes)
    }

    /// Of cameras that are tried in order, whose settings may change.
    fn of(settings: watch::Receiver<Vec<RtspSettings>>, wishes: Wishes) -> Pull {
        Pull::watched(settings, wishes, true)
    }

    /// The same of a stream that somebody watches, or nobody.
    fn watched(settings: watch::Receiver<Vec<RtspSettings>>, wishes: Wishes, is_watched: bool) -> Pull {
        Pull::remembering(settings, wishes, is_watched, &Record::default())
    }

    /// The same, of which something may be remembered.
    fn remembering(
        settings: watch::Receiver<Vec<RtspSettings>>,
        wishes: Wishes,
        is_watched: bool,
        record: &Record,
    ) -> Pull {
        let (sender, seen) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(rtsp::run(
            settings,
            Collector(sender, is_watched),
            wishes,
            record.clone(),
            told(stopped),
            pending(),
        ));
        Pull { seen, stop, task }
    }

    /// The first of what is to come that `wanted` takes.
    async fn find<T>(&mut self, what: &str, mut wanted: impl FnMut(Seen) -> Option<T>) -> T {
        let search = async {
            loop {
                let seen = self.seen.recv().await.unwrap_or_else(|| panic!("the source ended before {what}"));
                if let Some(found) = wanted(seen) {
                    return found;
                }
            }
        };
        tokio::time::timeout(DEADLINE, search)
            .await
            .unwrap_or_else(|_| panic!("no {what} within {DEADLINE:?}"))
    }

    /// What the next session brings, and its parameter sets.
    async fn begun(&mut self) -> (Formats, Vec<Bytes>) {
        self.find("the beginning of a session", |seen| match seen {
            Seen::Begun(formats, parameter_sets) => Some((formats, parameter_sets)),
            Seen::Video(_) | Seen::Audio(_) => panic!("media before the beginning"),
            Seen::State(SourceState::Waiting { error, .. }) => panic!("the camera does not play: {error}"),
            Seen::State(_) | Seen::Reported(..) | Seen::Lost(_) | Seen::Remarked(_) | Seen::Restarted => None,
        })
        .await
    }

    async fn video(&mut self, count: usize) -> Vec<AccessUnit> {
        let mut units = Vec::new();
        while units.len() < count {
            units.push(
                self.find("video", |seen| if let Seen::Video(unit) = seen { Some(unit) } else { None }).await,
            );
        }
        units
    }

    async fn audio(&mut self, count: usize) -> Vec<AudioFrame> {
        let mut frames = Vec::new();
        while frames.len() < count {
            frames.push(
                self.find("audio", |seen| if let Seen::Audio(frame) = seen { Some(frame) } else { None })
                    .await,
            );
        }
        frames
    }

    /// The sentence and the time of the next `Waiting`.
    async fn waiting(&mut self) -> (String, Duration) {
        self.find("Waiting", |seen| match seen {
            Seen::State(SourceState::Waiting { error, retry_in, .. }) => Some((error, retry_in)),
            _ => None,
        })
        .await
    }

    /// Stops the source, which must not take long whatever it is doing.
    async fn stop(self) {
        self.stop.send(true).expect("the source is running");
        tokio::time::timeout(Duration::from_secs(5), self.task)
            .await
            .expect("the source stops in time")
            .expect("the source ends without a panic");
    }
}

/// Settings with short waits.
fn quick(url: Url) -> RtspSettings {
    let rtsp = Rtsp {
        reconnect_min: Duration::from_millis(100),
        reconnect_max: Duration::from_millis(400),
        ..Rtsp::default()
    };
    let camera = url.as_str().parse().expect("the URL of a camera");
    RtspSettings { stream: "cam".to_owned(), camera, rtsp }
}

fn with_login(mut settings: RtspSettings, username: &str, password: &str) -> RtspSettings {
    settings.camera.credentials = Some(Credentials { username: username.into(), password: password.into() });
    settings
}

fn over_udp(mut settings: RtspSettings) -> RtspSettings {
    settings.rtsp.transport = Transport::Udp;
    settings
}

fn types(unit: &AccessUnit) -> Vec<u8> {
    unit.nals.iter().map(|nal| nal[0] & 0x1f).collect()
}

/// Settings that give a hostile server little time.
fn impatient(url: Url) -> RtspSettings {
    let mut settings = quick(url);
    settings.rtsp.connect_timeout = Duration::from_secs(1);
    settings.rtsp.request_timeout = Duration::from_secs(1);
    settings.rtsp.data_timeout = Duration::from_secs(1);
    settings
}

/// What all tests of this process log, of Sluice at TRACE and of retina as an operator would have it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic while logging")).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic while logging").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn log() -> Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_env_filter("sluice=trace,retina=warn")
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        log
    })
    .clone()
}
