//! What a service manager hears of the server (sd_notify(3)), and what it can hand over.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use sluice_harness::player::Player;
use sluice_harness::{Request, Sluice, wait_for};

use crate::SLUICE;

/// A folder that goes with the test, and the socket in it that a service manager would listen on.
struct Manager {
    folder: PathBuf,
    socket: UnixDatagram,
}

impl Manager {
    fn new(name: &str) -> Manager {
        let folder = std::env::temp_dir().join(format!("sluice-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let socket = UnixDatagram::bind(folder.join("notify")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        Manager { folder, socket }
    }

    /// Starts the server as a unit would be, with signs of life wanted every `watchdog`.
    fn start(&self, watchdog: Duration, arguments: &[&str]) -> Sluice {
        let socket = self.folder.join("notify");
        SLUICE.start_with(arguments, |command| {
            command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        })
    }

    /// Reads until a message has a line that is wanted; gives all of that message.
    fn hear(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        wait_for(what, || {
            let mut buffer = [0; 4_096];
            let length = self.socket.recv(&mut buffer).ok()?;
            let message = String::from_utf8(buffer[..length].to_vec()).expect("text");
            message.lines().any(&wanted).then_some(message)
        })
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_service_manager_hears_of_the_whole_life_of_the_server() {
    let manager = Manager::new("life");
    let file = manager.folder.join("sluice.toml");
    std::fs::write(&file, "[drain]\ntimeout = \"10m\"\n[streams.demo]\nsource = \"demo\"\n").expect("a file");
    let sluice = manager.start(
        Duration::from_millis(400),
        &["-c", file.to_str().expect("a path"), "--set", "log.level=info"],
    );
    manager.hear("the start", |line| line == "READY=1");
    manager.hear("the status", |line| line == "STATUS=1 stream, 0 viewers");
    manager.hear("signs of life", |line| line == "WATCHDOG=1");

    sluice.wait_until_playing("demo");
    let player = Player::join(&sluice, "/demo/whep");
    manager.hear("its viewer", |line| line == "STATUS=1 stream, 1 viewer");

    std::fs::write(
        &file,
        "[streams]\ndemo.source = \"demo\"\nmore.source = \"demo\"\n[drain]\ntimeout = \"10m\"\n",
    )
    .expect("a file");
    sluice.signal("HUP");
    let reloading = manager.hear("a reload", |line| line == "RELOADING=1");
    let stamp = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(stamp.is_some_and(|stamp| stamp.parse::<u64>().is_ok()), "{reloading}");
    manager.hear("its end", |line| line == "READY=1");
    manager.hear("what came of it", |line| line == "STATUS=2 streams, 1 viewer");

    sluice.signal("TERM");
    manager.hear("more time", |line| line == "EXTEND_TIMEOUT_USEC=30000000");
    manager.hear("why", |line| line.starts_with("STATUS=2 streams, 1 viewer; draining, "));
    sluice.signal("TERM");
    manager.hear("the end", |line| line == "STOPPING=1");
    let (status, log) = sluice.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    drop(player);
}

#[test]
fn a_service_manager_hears_of_reloads_by_the_api_and_by_the_watch_of_the_file_too() {
    let manager = Manager::new("reloads");
    let file = manager.folder.join("sluice.toml");
    let text = "[config]\nwatch = true\n[streams]\ndemo.source = \"demo\"\n";
    std::fs::write(&file, text).expect("a file");
    let sluice = manager
        .start(Duration::from_secs(60), &["-c", file.to_str().expect("a path"), "--set", "log.level=info"]);
    manager.hear("the start", |line| line == "READY=1");
    let hear_a_reload = || {
        let reloading = manager.hear("a reload", |line| line == "RELOADING=1");
        let stamp = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        assert!(stamp.is_some_and(|stamp| stamp.parse::<u64>().is_ok()), "{reloading}");
        manager.hear("its end", |line| line == "READY=1");
    };
    let answer = Request::new("POST", "/api/v1/config/reload").send(sluice.admin);
    assert_eq!(answer.status, 200, "{}", answer.text());
    hear_a_reload();
    // The watch begins beside the server.
    wait_for("the file to be seen", || {
        std::fs::write(&file, format!("{text}more.source = \"demo\"\n")).expect("a file");
        let list = Request::get("/api/v1/streams").send(sluice.admin).text();
        list.contains("\"more\"").then_some(())
    });
    hear_a_reload();
    // One that fails ends, too.
    std::fs::write(&file, "nonsense").expect("a file");
    let answer = Request::new("POST", "/api/v1/config/reload").send(sluice.admin);
    assert_ne!(answer.status, 200, "{}", answer.text());
    hear_a_reload();
}

#[test]
fn a_service_manager_that_does_not_read_holds_nothing_up() {
    let manager = Manager::new("deaf");
    // Its socket holds some ten messages, and this many are sent in a moment.
    let sluice = manager.start(Duration::from_millis(4), &[]);
    sluice.wait_until_playing("demo");
    let mut player = Player::join(&sluice, "/demo/whep");
    player.run_until("media", |player| player.packets() > 300);
    assert!(sluice.metric("sluice_sessions") >= 1.0);
    let (status, log) = sluice.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_credential_is_taken_as_a_variable_of_its_name() {
    let manager = Manager::new("credentials");
    let credentials = manager.folder.join("credentials");
    std::fs::create_dir(&credentials).expect("a folder");
    std::fs::write(credentials.join("SLUICE_STREAMS_GATE_SOURCE"), "rtsp://user:canary@127.0.0.1:9/x\n")
        .expect("a file");
    let sluice = SLUICE.start_with(&[], |command| {
        command.env("CREDENTIALS_DIRECTORY", &credentials);
    });
    wait_for("the camera", || sluice.log().contains("127.0.0.1:9").then_some(()));
    assert!(!sluice.log().contains("canary"), "{}", sluice.log());
}
