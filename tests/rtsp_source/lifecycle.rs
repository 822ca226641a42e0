//! What goes on around attempts: panics, warnings, waits, settings that cannot work.

use std::future::pending;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice::source::rtsp::memory::Record;
use sluice::source::rtsp::{self, RtspSettings};
use sluice::stream::{Formats, Sink, SourceState, Wishes};
use sluice_harness::gstreamer::Camera;
use sluice_media::{AccessUnit, AudioFrame, Kind, SourceReport};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use url::Url;

use crate::server::{SDP, request, server, up_to_play};
use crate::{DEADLINE, Pull, fixed, impatient, log, quick, told};

struct Bomb(mpsc::UnboundedSender<SourceState>);

impl Sink for Bomb {
    fn state(&mut self, state: SourceState) {
        let _ = self.0.send(state);
    }
    fn begin(&mut self, _: Formats, _: &[Bytes]) {
        panic!("a panic of the test, in place of one in retina");
    }
    fn video(&mut self, _: AccessUnit) {}
    fn audio(&mut self, _: AudioFrame) {}
    fn reported(&mut self, _: Kind, _: SourceReport) {}
    fn lost(&mut self, _: u64) {}
    fn remark(&mut self, _: &[String]) {}
    fn damaged_keyframe(&mut self, _: Instant) {}
    fn restarted(&mut self) {}

    fn is_watched(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_panic_ends_the_attempt_and_nothing_else() {
    let (url, connections) = server(|stream| async move {
        up_to_play(&stream, SDP, "1", b"").await;
        while request(&stream).await.is_some() {}
    })
    .await;
    let (sender, mut states) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(rtsp::run(
        fixed(impatient(url)),
        Bomb(sender),
        Wishes::default(),
        Record::default(),
        told(stopped),
        pending(),
    ));
    let mut panics = 0;
    while panics < 2 {
        let state = tokio::time::timeout(DEADLINE, states.recv())
            .await
            .expect("a state")
            .expect("the source goes on");
        if let SourceState::Waiting { error, .. } = state {
            assert!(error.contains("panicked"), "{error}");
            panics += 1;
        }
    }
    assert!(connections.load(Ordering::Relaxed) >= 2);
    drop(stop); // Nobody left who could stop it is a stop, too.
    tokio::time::timeout(DEADLINE, task).await.expect("the source stops").expect("without a panic");
}

#[tokio::test]
async fn a_dead_camera_is_one_warning_and_retries_stay_bounded() {
    let log = log();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = Url::parse(&format!("rtsp://{}/", listener.local_addr().expect("it is bound"))).expect("a URL");
    drop(listener);
    let started = Instant::now();
    let mut pull = Pull::start(RtspSettings { stream: "dead-camera".into(), ..quick(url) });
    let mut waited = Duration::ZERO;
    for _ in 0..6 {
        let (error, retry_in) = pull.waiting().await;
        assert!(error.contains("cannot be reached: is it on"), "{error}");
        assert!(retry_in <= Duration::from_millis(400), "{retry_in:?}");
        waited += retry_in;
    }
    // The last wait has only begun.
    assert!(started.elapsed() + Duration::from_millis(400) >= waited, "waits are kept");
    pull.stop().await;
    let lines = log.text();
    let about =
        |level: &str| lines.lines().filter(|l| l.contains("dead-camera") && l.contains(level)).count();
    assert_eq!(about(" WARN "), 1, "{lines}");
    assert!(about("DEBUG ") >= 5);
}

/// A stream that is made when somebody asks for it goes and comes again: its camera is not asked more often for that.
#[tokio::test]
async fn a_pause_outlives_the_run_that_it_is_of() {
    let log = log();
    let (url, connections) = server(|_| async {}).await;
    let mut settings = RtspSettings { stream: "made-camera".into(), ..quick(url.clone()) };
    let hour = Duration::from_secs(3_600);
    (settings.rtsp.reconnect_min, settings.rtsp.reconnect_max) = (hour, hour);
    let record = Record { is_made: true, rests: true, ..Record::default() };
    let start = |settings: &RtspSettings| {
        Pull::remembering(fixed(settings.clone()), Wishes::default(), false, &record)
    };
    let mut pull = start(&settings);
    let (error, pause) = pull.waiting().await;
    pull.stop().await;
    let mut asked = connections.load(Ordering::Relaxed);
    for _ in 0..3 {
        let mut pull = start(&settings);
        let (again, left) = pull.waiting().await;
        assert_eq!(again, error);
        assert!(left <= pause && left > hour / 4, "{left:?} of {pause:?}");
        pull.stop().await;
    }
    assert_eq!(connections.load(Ordering::Relaxed), asked, "it was not asked again");
    let lines = log.text();
    let warnings = lines.lines().filter(|line| line.contains("made-camera") && line.contains(" WARN "));
    assert_eq!(warnings.count(), 1, "{lines}");
    // Of another camera nothing is known, nor if it is treated otherwise.
    let mut otherwise = settings.clone();
    otherwise.rtsp.request_timeout += Duration::from_secs(1);
    for settings in [&otherwise, &settings] {
        let mut pull = start(settings);
        pull.waiting().await;
        pull.stop().await;
        assert!(connections.load(Ordering::Relaxed) > asked, "it may help");
        asked = connections.load(Ordering::Relaxed);
    }
    settings.camera = url.join("other").expect("a URL").as_str().parse().expect("a camera");
    let mut pull = start(&settings);
    pull.waiting().await;
    pull.stop().await;
    assert!(connections.load(Ordering::Relaxed) > asked);
}

/// Names by the hundred, none of which is a camera that answers, are some lines and a number.
#[tokio::test]
async fn cameras_of_many_names_that_are_none_are_some_lines() {
    let log = log();
    let (url, _) = server(|_| async {}).await;
    let record = Record { is_made: true, ..Record::default() };
    for number in 0..100 {
        let settings = RtspSettings { stream: format!("one-of-many-{number}"), ..quick(url.clone()) };
        let mut pull = Pull::remembering(fixed(settings), Wishes::default(), false, &record);
        pull.waiting().await;
        pull.stop().await;
    }
    let lines = log.text();
    let about = |level: &str| {
        lines.lines().filter(|line| line.contains("one-of-many-") && line.contains(level)).count()
    };
    assert!(about(" WARN ") <= 64 && about("DEBUG ") >= 36, "{} warnings", about(" WARN "));
    record.memory.sum_up(Instant::now() + Duration::from_secs(120));
    let sum = log.text();
    let sum = sum.lines().find(|line| line.contains("more streams that are made when somebody asks"));
    assert!(sum.is_some_and(|line| line.contains("times=36")), "{sum:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_somebody_waits_for_is_tried_before_its_pause_is_over() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its address");
    let url = Url::parse(&format!("rtsp://{nobody}/cam")).expect("a URL");
    // Two minutes between attempts.
    let mut settings = quick(url);
    (settings.rtsp.reconnect_min, settings.rtsp.reconnect_max) =
        (Duration::from_secs(120), Duration::from_secs(120));
    let wishes = Wishes::default();
    let mut pull = Pull::watched(fixed(settings), wishes.clone(), false);
    for _ in 0..2 {
        pull.waiting().await;
        wishes.want();
    }
    pull.waiting().await;
    pull.stop().await;
}

#[tokio::test]
async fn other_settings_end_a_pause_and_count_for_the_attempts_behind_it() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its address");
    let mut settings = quick(Url::parse(&format!("rtsp://{nobody}/cam")).expect("a URL"));
    let hour = Duration::from_secs(3_600);
    (settings.rtsp.reconnect_min, settings.rtsp.reconnect_max) = (hour, hour);
    let (change, settings_told) = watch::channel(vec![settings.clone()]);
    let mut pull = Pull::watched(settings_told, Wishes::default(), false);
    assert!(pull.waiting().await.1 >= hour / 2);
    settings.rtsp.reconnect_max = hour * 2;
    change.send_replace(vec![settings.clone()]);
    assert!(pull.waiting().await.1 >= hour / 2, "it was tried again, and rests again");
    let shorter = Duration::from_millis(100);
    (settings.rtsp.reconnect_min, settings.rtsp.reconnect_max) = (shorter, shorter);
    change.send_replace(vec![settings]);
    for _ in 0..3 {
        assert!(pull.waiting().await.1 <= shorter);
    }
    pull.stop().await;
}

#[tokio::test]
async fn of_several_sources_the_first_that_works_plays_and_a_pause_is_made_when_all_have_failed() {
    let nobody = || async {
        let address =
            TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its address");
        quick(Url::parse(&format!("rtsp://{address}/cam")).expect("a URL"))
    };
    let camera = Camera::small(&[]);
    let all = vec![nobody().await, nobody().await, quick(camera.url.clone())];
    let mut pull = Pull::of(watch::channel(all).1, Wishes::default());
    for _ in 0..2 {
        assert_eq!(pull.waiting().await.1, Duration::ZERO, "the next has its turn at once");
    }
    pull.begun().await;
    pull.video(30).await;
    // It plays on, though the first may be back; when it goes, the first has its turn.
    drop(camera);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        pauses.push(pull.waiting().await.1.is_zero());
    }
    assert_eq!(pauses.iter().filter(|pause| !**pause).count(), 2, "two rounds: {pauses:?}");
    pull.stop().await;
}
