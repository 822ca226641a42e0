//! Sources on demand: the first who may join wakes one, the last who leaves lets it rest, and nobody else does either.
#![expect(clippy::disallowed_methods, reason = "tests run against real time and real sockets")]

#[path = "on_demand/changes.rs"]
mod changes;
#[path = "on_demand/made.rs"]
mod made;
#[path = "on_demand/pairs.rs"]
mod pairs;
#[path = "on_demand/waiting.rs"]
mod waiting;

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sluice_harness::player::Player;
use sluice_harness::{Binary, Request, Sluice, wait_for};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

const CHROMIUM: &str = include_str!("data/chromium-156.sdp");

/// Everything is on demand, and rests soon.
const ON_DEMAND: [&str; 4] = ["--set", "on_demand.enabled=true", "--set", "on_demand.close_after=1s"];

fn start(more: &[&str]) -> Sluice {
    SLUICE.start(&[&ON_DEMAND, more].concat())
}

fn of(metric: &str, stream: &str) -> String {
    format!("sluice_stream_{metric}{{stream=\"{stream}\"}}")
}

fn count(sluice: &Sluice, metric: &str) -> f64 {
    sluice.metric(&of(metric, "cam"))
}

fn wait_until_idle(sluice: &Sluice) {
    sluice.wait_for_metric(&of("idle", "cam"), "is 1", |idle| idle == 1.0);
}

fn listed(sluice: &Sluice) -> serde_json::Value {
    let list = Request::get("/api/v1/streams").send(sluice.admin).json();
    list["streams"][0].clone()
}

/// A camera that takes connections and says nothing, while it is held.
struct Silent {
    url: String,
    taken: Arc<Mutex<Vec<TcpStream>>>,
}

impl Silent {
    fn new() -> Silent {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let url = format!("rtsp://{}/", listener.local_addr().expect("its address"));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let keep = taken.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                keep.lock().expect("its lock").push(stream);
            }
        });
        Silent { url, taken }
    }

    fn connections(&self) -> usize {
        self.taken.lock().expect("its lock").len()
    }
}

#[test]
fn the_first_viewer_wakes_a_camera_the_last_lets_it_rest_and_who_comes_soon_finds_it_awake() {
    let cameras = SLUICE.cameras(1, &[]);
    let sluice = start(&[&format!("cam={}", cameras.urls[0])]);
    let (idle, ready) = (listed(&sluice), Request::get("/readyz").send(sluice.admin));
    assert_eq!((&idle["state"], &idle["on_demand"]), (&"idle".into(), &true.into()), "{idle}");
    assert!(idle["trouble"].is_null() && idle["error"].is_null(), "{idle}");
    assert_eq!(ready.status, 200, "{}", ready.text());

    let mut first = Player::join(&sluice, "/cam/whep");
    first.run_until("pictures", |player| player.pictures().len() > 5);
    assert_eq!(
        [count(&sluice, "wakes_total"), count(&sluice, "starts_total"), count(&sluice, "up")],
        [1.0; 3]
    );
    // Within the time that it lingers.
    assert_eq!(sluice.request(Request::new("DELETE", &first.location)).status, 200);
    sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
    let mut second = Player::join(&sluice, "/cam/whep");
    second.run_until("pictures", |player| player.pictures().len() > 5);
    assert_eq!([count(&sluice, "wakes_total"), count(&sluice, "starts_total")], [1.0; 2]);

    assert_eq!(sluice.request(Request::new("DELETE", &second.location)).status, 200);
    wait_until_idle(&sluice);
    assert_eq!(listed(&sluice)["state"], "idle");
    let mut third = Player::join(&sluice, "/cam/whep");
    third.run_until("pictures", |player| player.pictures().len() > 5);
    assert_eq!([count(&sluice, "wakes_total"), count(&sluice, "starts_total")], [2.0; 2]);
    assert_eq!(sluice.metric("sluice_streams{state=\"playing\"}"), 1.0);
}

/// Whatever a page asks for besides, and whoever may not join.
#[test]
fn nobody_wakes_a_camera_but_who_may_join_with_an_offer_that_is_one() {
    let cameras = SLUICE.cameras(1, &[]);
    let rules = ["--set", "access.users.ann.password=canary-ann", "--set", "access.users.ann.read=cam"];
    let limit = ["--set", "limits.joins_per_address=1"];
    let sluice = start(&[&rules[..], &limit, &[&format!("cam={}", cameras.urls[0])]].concat());
    // ann:canary-ann
    let ann = |request: Request| request.header("Authorization", "Basic YW5uOmNhbmFyeS1hbm4=");
    let status = |request: Request| sluice.request(request).status;
    assert_eq!(status(Request::offer("/cam/whep", CHROMIUM)), 401);
    for path in ["/", "/cam/", "/streams.json", "/cam/reader.js"] {
        assert_eq!(status(ann(Request::get(path))), 200, "{path}");
    }
    assert_eq!(status(ann(Request::get("/cam/whep"))), 204);
    let still = sluice.request(ann(Request::get("/cam/frame.mp4")));
    assert_eq!(still.status, 409);
    assert!(still.text().contains("is on demand and has not been watched yet"), "{}", still.text());
    assert_eq!(status(ann(Request::offer("/cam/whep", "this is no offer"))), 400);
    let plain = Request::new("POST", "/cam/whep").header("Content-Type", "text/plain").body(CHROMIUM);
    assert_eq!(status(ann(plain)), 415);
    assert_eq!([count(&sluice, "wakes_total"), count(&sluice, "idle")], [0.0, 1.0]);

    assert_eq!(status(ann(Request::offer("/cam/whep", CHROMIUM))), 201);
    assert_eq!(count(&sluice, "wakes_total"), 1.0);
    // Its last picture stays, dated; and asking for it wakes nothing.
    wait_until_idle(&sluice);
    let still = sluice.request(ann(Request::get("/cam/frame.mp4")));
    assert_eq!((still.status, still.header("last-modified").is_some()), (200, true), "{}", still.text());
    assert_eq!(count(&sluice, "wakes_total"), 1.0);
    // Who joins too fast wakes none.
    let together: Vec<u16> = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| status(ann(Request::offer("/cam/whep", CHROMIUM))));
        let asked: Vec<_> = (0..8).map(|_| ask()).collect();
        asked.into_iter().map(|asked| asked.join().expect("a status")).collect()
    });
    assert!(together.contains(&201) && together.contains(&429), "{together:?}");
}

#[test]
fn a_camera_that_rests_costs_no_wakeups() {
    let cameras = SLUICE.cameras(1, &[]);
    let sluice = start(&[&format!("cam={}", cameras.urls[0])]);
    let mut player = Player::join(&sluice, "/cam/whep");
    player.run_until("pictures", |player| player.pictures().len() > 5);
    assert_eq!(sluice.request(Request::new("DELETE", &player.location)).status, 200);
    wait_until_idle(&sluice);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", sluice.pid())).expect("its threads");
    let is_source = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "from-cam")
    };
    let source = tasks.map_while(Result::ok).map(|task| task.path()).find(is_source).expect("its thread");
    let switches = || {
        let status = std::fs::read_to_string(source.join("status")).expect("its status");
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
        line.expect("a count").to_owned()
    };
    // Once it sleeps, it sleeps.
    let asleep = wait_for("the thread to sleep", || {
        let before = switches();
        std::thread::sleep(std::time::Duration::from_secs(1));
        (switches() == before).then_some(before)
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(switches(), asleep);
}
