//! Health and metrics, read by the tools that operators read them with: promtool and a real Prometheus.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use sluice_harness::{Prometheus, Request, Sluice, wait_for};

use crate::{SLUICE, playing};

#[test]
fn livez_is_200_and_readyz_is_503_until_something_plays() {
    let sluice = SLUICE.start(&["cam=rtsp://127.0.0.1:1/x"]);
    let live = Request::get("/livez").send(sluice.admin);
    assert_eq!((live.status, &live.json()["live"]), (200, &true.into()));
    let ready = Request::get("/readyz").send(sluice.admin);
    assert_eq!((ready.status, &ready.json()["ready"]), (503, &false.into()));
    assert_eq!(ready.json()["reasons"][0], "none of 1 streams is playing");

    let sluice = playing(&["cam=rtsp://127.0.0.1:1/x", "--set", "streams.demo.source=demo"]);
    let ready = Request::get("/readyz").send(sluice.admin);
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &true.into()));
    assert_eq!(sluice.metric("sluice_stream_up{stream=\"cam\"}"), 0.0);
}

#[test]
fn what_seals_is_measured_at_the_start_and_can_be_forced() {
    let taken = |sluice: &Sluice| {
        ["aws-lc", "ring"].map(|library| {
            let cost = sluice.metric(&format!("sluice_cipher_packet_seconds{{library=\"{library}\"}}"));
            assert!(cost > 0.0, "{library} was measured");
            let metrics = Request::get("/metrics").send(sluice.admin).text();
            metrics.contains(&format!("sluice_cipher_info{{library=\"{library}\"}} 1"))
        })
    };
    let [aws_lc, ring] = taken(&playing(&[]));
    assert_ne!(aws_lc, ring, "one of them");
    assert_eq!(taken(&playing(&["--set", "srtp.cipher=aws-lc"])), [true, false]);
    assert_eq!(taken(&playing(&["--set", "srtp.cipher=ring"])), [false, true]);
}

/// promtool reads the older text format, in which a counter's type and help are under its full name.
fn as_classic_text(openmetrics: &str) -> String {
    let is_counter = |name: &str| openmetrics.contains(&format!("# TYPE {name} counter\n"));
    let mut text = String::new();
    for line in openmetrics.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(kind), Some(name), Some(rest)) if is_counter(name) => {
                text.push_str(&format!("# {kind} {name}_total {rest}\n"));
            }
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let sluice = playing(&[]);
    let metrics = Request::get("/metrics").send(sluice.admin);
    assert_eq!(
        metrics.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(metrics.text().ends_with("\n# EOF\n"));
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, from the Debian package prometheus");
    let mut stdin = promtool.stdin.take().expect("piped");
    stdin.write_all(as_classic_text(&metrics.text()).as_bytes()).expect("it reads");
    drop(stdin);
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn what_viewers_report_is_in_histograms_that_add_up() {
    let sluice = playing(&[]);
    let url = format!("http://{}/demo/whep", sluice.http);
    // Viewers that report once a second, as browsers do.
    let load = SLUICE
        .command()
        .args(["load", "whep", &url, "--viewers", "3", "--rate", "20", "--duration", "5s"])
        .stdout(Stdio::null())
        .status();
    assert!(load.expect("the binary starts").success());
    let text = Request::get("/metrics").send(sluice.admin).text();
    for name in ["viewer_loss_ratio", "viewer_jitter_seconds", "viewer_round_trip_seconds"] {
        let begin = format!("sluice_{name}_bucket{{le=\"");
        let buckets: Vec<(f64, f64)> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&begin)?.split_once("\",kind=\"video\"} "))
            .map(|(bound, count)| (bound.parse().expect("a bound"), count.parse().expect("a count")))
            .collect();
        assert!(buckets.len() >= 10, "{name} has {buckets:?}\n{text}");
        assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        let last = buckets[buckets.len() - 1];
        assert_eq!(last.0, f64::INFINITY, "{name}");
        let count = format!("sluice_{name}_count{{kind=\"video\"}} {}", last.1);
        assert!(text.lines().any(|line| line == count), "{count} is not in\n{text}");
        assert!(last.1 > 0.0, "{name}");
    }
    assert_eq!(sluice.metric("sluice_viewer_lost_packets_total{kind=\"video\"}"), 0.0);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a stranger has a socket of its own")]
fn datagrams_that_a_shard_had_no_room_for_are_counted() {
    let sluice = playing(&["--set", "udp.receive_buffer=64KiB", "--set", "shards.count=1"]);
    let name = "sluice_ingress_dropped_datagrams_total{shard=\"0\"}";
    assert_eq!(sluice.metric(name), 0.0);
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    // Nobody receives meanwhile.
    sluice.signal("STOP");
    for _ in 0..1_000 {
        stranger.send_to(&[0; 1_000], ("127.0.0.1", sluice.udp_port)).expect("it is sent");
    }
    sluice.signal("CONT");
    let dropped = sluice.wait_for_metric(name, "counts what was dropped", |dropped| dropped > 0.0);
    assert!(dropped < 1_000.0, "some of them had room: {dropped}");
}

/// Sum of a family's samples that have all of these labels.
fn total(text: &str, name: &str, labels: &[&str]) -> f64 {
    let samples = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    let fits =
        |of: &str| (of.is_empty() || of.starts_with('{')) && labels.iter().all(|label| of.contains(label));
    samples.filter(|(of, _)| fits(of)).map(|(_, value)| value.parse::<f64>().expect("a number")).sum()
}

#[test]
fn every_viewer_is_in_each_phase_of_the_setup_once_and_its_media_in_the_forwarding_delay() {
    const VIEWERS: f64 = 4.0;
    let sluice = playing(&[]);
    let url = format!("http://{}/demo/whep", sluice.http);
    let load = SLUICE
        .command()
        .args(["load", "whep", &url, "--viewers", "4", "--rate", "20", "--duration", "3s"])
        .stdout(Stdio::null())
        .status();
    assert!(load.expect("the binary starts").success());
    let text = Request::get("/metrics").send(sluice.admin).text();
    for phase in ["http", "ice", "dtls", "first_media"] {
        let label = format!("phase=\"{phase}\"");
        assert_eq!(total(&text, "sluice_viewer_setup_seconds_count", &[&label]), VIEWERS, "{phase}");
        let sum = total(&text, "sluice_viewer_setup_seconds_sum", &[&label]);
        assert!((0.0..VIEWERS * 10.0).contains(&sum), "{phase} took {sum} s");
    }
    // A picture and a packet of sound at least thirty times a second each.
    assert!(total(&text, "sluice_forward_delay_seconds_count", &[]) > VIEWERS * 3.0 * 30.0);
    let messages = total(&text, "sluice_egress_messages_total", &[]);
    for (histogram, count, sum) in [
        ("egress_messages_per_call", "sluice_send_calls_total", "sluice_egress_messages_total"),
        ("egress_datagrams_per_message", "sluice_egress_messages_total", "sluice_egress_datagrams_total"),
    ] {
        let of = |part: &str| total(&text, &format!("sluice_{histogram}_{part}"), &[]);
        assert!(of("count") > 0.0 && of("count") <= total(&text, count, &[]), "{histogram}");
        assert_eq!(of("sum"), total(&text, sum, &[]), "{histogram}");
        assert_eq!(of("bucket"), of("bucket").max(of("count")), "{histogram}");
    }
    assert!(messages > 0.0);
    let joins = ["listener=\"public\"", "route=\"/{stream}/whep\"", "method=\"POST\"", "code=\"201\""];
    assert_eq!(total(&text, "sluice_http_requests_total", &joins), VIEWERS);
}

#[test]
fn refusals_are_counted_by_the_reason_they_were_refused_for() {
    let sluice = playing(&[
        "cam=rtsp://127.0.0.1:1/x",
        "--set",
        "streams.demo.source=demo",
        "--set",
        "limits.viewers=1",
    ]);
    let offer = include_str!("../data/chromium-156.sdp");
    let refuse: [(Request, u16, &str); 8] = [
        (Request::offer("/nothing/whep", offer), 404, "no_stream"),
        (Request::offer("/cam/whep", offer), 409, "no_picture"),
        (Request::offer("/demo/whep", "no offer"), 400, "malformed"),
        (Request::get("/demo/whep/0123456789abcdef0123456789abcdef"), 404, "no_session"),
        (Request::get("/demo/publish"), 404, "not_found"),
        (
            Request::new("POST", "/demo/whep").header("content-type", "text/plain").body("v=0"),
            415,
            "content_type",
        ),
        (Request::offer("/demo/whep", offer), 201, ""),
        (Request::offer("/demo/whep", offer), 503, "viewers"),
    ];
    for (request, status, reason) in refuse {
        let count = || {
            let text = Request::get("/metrics").send(sluice.admin).text();
            total(&text, "sluice_http_refusals_total", &[&format!("reason=\"{reason}\"")])
        };
        let before = count();
        assert_eq!(sluice.request(request).status, status, "{reason}");
        assert_eq!(count() - before, f64::from(u8::from(!reason.is_empty())), "{reason}");
    }
}

#[test]
fn a_camera_is_described_with_its_keyframes_and_its_failures() {
    let sluice = playing(&["cam=rtsp://127.0.0.1:1/x", "--set", "streams.demo.source=demo"]);
    let text = || Request::get("/metrics").send(sluice.admin).text();
    wait_for("a second keyframe", || {
        (total(&text(), "sluice_stream_keyframe_interval_seconds", &["stream=\"demo\""]) > 0.0).then_some(())
    });
    let text = text();
    let newest = total(&text, "sluice_stream_last_keyframe_timestamp_seconds", &["stream=\"demo\""]);
    assert!(newest > total(&text, "process_start_time_seconds", &[]) - 1.0, "{newest}");
    let info = ["stream=\"demo\"", "video=\"H264 ", "audio=\"opus stereo\"", "source=\"demo\""];
    assert_eq!(total(&text, "sluice_stream_info", &info), 1.0, "{text}");
    for (state, streams) in [("playing", 1.0), ("starting", 0.0)] {
        assert_eq!(total(&text, "sluice_streams", &[&format!("state=\"{state}\"")]), streams);
    }
    let failures = ["stream=\"cam\"", "cause=\"unreachable\""];
    assert!(total(&text, "sluice_stream_failures_total", &failures) > 0.0);
    assert_eq!(total(&text, "sluice_stream_failures_total", &["stream=\"demo\""]), 0.0);
    assert!(!text.contains("keyframe_interval_seconds{stream=\"cam\""), "nothing is made up");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a server's age is told by the clock on the wall")]
fn the_process_and_its_memory_have_the_names_that_everybody_gives_them() {
    let sluice = playing(&[]);
    let fds = |sluice: &Sluice| sluice.metric("process_open_fds");
    let before = fds(&sluice);
    let idle: Vec<_> = (0..8).map(|_| TcpStream::connect(sluice.http).expect("a connection")).collect();
    sluice.wait_for_metric("process_open_fds", "counts connections", |open| open >= before + 8.0);
    drop(idle);
    assert!(sluice.metric("process_max_fds") > before);
    let allocated = sluice.metric("sluice_memory_allocated_bytes");
    let (active, resident) =
        (sluice.metric("sluice_memory_active_bytes"), sluice.metric("sluice_memory_resident_bytes"));
    assert!(1e6 < allocated && allocated <= active && active <= resident, "{allocated} {active} {resident}");
    assert!(sluice.metric("process_virtual_memory_bytes") > sluice.metric("process_resident_memory_bytes"));
    assert!(sluice.metric("process_threads") >= 5.0);
    let age = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
        - sluice.metric("process_start_time_seconds");
    assert!((-2.0..3_600.0).contains(&age), "it began {age} s ago");
}

#[test]
fn no_metric_is_labelled_by_viewer() {
    let sluice = playing(&[]);
    let series = || {
        let text = Request::get("/metrics").send(sluice.admin).text();
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    let join = || {
        let offer = include_str!("../data/chromium-156.sdp");
        assert_eq!(sluice.request(Request::offer("/demo/whep", offer)).status, 201);
    };
    // Request and scrape bring their own series with the first of each, and a stream's second keyframe its interval.
    join();
    wait_for("all that a stream shows in its first minute", || {
        let text = Request::get("/metrics").send(sluice.admin).text();
        text.contains("keyframe_interval_seconds{").then_some(())
    });
    series();
    let before = series();
    (1..5).for_each(|_| join());
    assert_eq!(sluice.metric("sluice_stream_viewers{stream=\"demo\"}"), 5.0);
    assert_eq!(series(), before);
}

/// The value of the only series that a query gives, once there is one.
fn value(prometheus: &Prometheus, query: &str) -> f64 {
    wait_for(query, || match prometheus.query(query).ok()?.as_slice() {
        [] => None,
        [value] => Some(*value),
        several => panic!("{query} gives {several:?}"),
    })
}

#[test]
fn a_real_prometheus_reads_us() {
    let sluice = playing(&[]);
    let prometheus = Prometheus::start(sluice.admin);
    assert_eq!(value(&prometheus, "sluice_stream_up"), 1.0);
    assert_eq!(value(&prometheus, "up"), 1.0, "the scrape as a whole succeeds");
    assert!(value(&prometheus, "sum(sluice_stream_ingress_bytes_total)") > 0.0);
    assert!(value(&prometheus, "process_resident_memory_bytes") > 1e6);
    wait_for("a rate over two scrapes", || {
        (value(&prometheus, "sum(rate(sluice_stream_ingress_packets_total[1m]))") > 0.0).then_some(())
    });
    let targets = Request::get("/api/v1/targets").send(prometheus.address).json();
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()));
    let metadata = Request::get("/api/v1/metadata").send(prometheus.address).json();
    assert_eq!(metadata["data"]["sluice_egress_bytes"][0]["type"], "counter");
}
