//! `sluice import`: a file of MediaMTX with 64 cameras becomes a server that shows them.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use sluice_harness::{Binary, Request};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

const CAMERAS: usize = 64;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("sluice-import-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(arguments: &[&str]) -> Output {
    SLUICE.command().args(arguments).env("MTX_RTSPADDRESS", "canary-variable").output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_file_of_64_cameras_with_passwords_is_imported_checked_served_and_watched() {
    let folder = Folder::new("many");
    let cameras = SLUICE.cameras(CAMERAS, &["--auth", "admin:canary-camera"]);
    let (yaml, toml) = (folder.file("mediamtx.yml"), folder.file("sluice.toml"));
    // Its password is `canary-wall`.
    let wall = "- user: wall\n  pass: sha256:8vAyEYFVanFm7306eTCpajy1Xt2wk9FaYxWjwLGrE0k=\n  permissions: [{action: read, path: '~^site'}]\n";
    let local = "- {user: any, ips: ['127.0.0.1'], permissions: [{action: api}, {action: metrics}]}\n";
    let head = format!(
        "webrtcAddress: 127.0.0.1:0\nwebrtcLocalUDPAddress: :8189\napi: yes\napiAddress: 127.0.0.1:0\n\
         authInternalUsers:\n{wall}{local}pathDefaults:\n  rtspTransport: tcp\n  record: no\npaths:\n"
    );
    let paths = (1..).zip(&cameras.urls).fold(head, |yaml, (number, url)| {
        let site = number % 4;
        let url = url.replace("rtsp://", "rtsp://admin:canary-camera@");
        yaml + &format!("  site{site}/cam.{number}:\n    source: {url}\n    sourceOnDemand: yes\n")
    });
    fs::write(&yaml, paths).expect("it can be written");

    let imported = run(&["import", &yaml, "--out", &toml]);
    let report = text(&imported.stdout);
    assert!(imported.status.success(), "{}", text(&imported.stderr));
    assert!(report.contains("64 of 64 paths are streams now"), "{report}");
    assert!(report.contains("sourceOnDemand (line 16"), "{report}");
    assert!(report.contains("): on_demand = true of each stream that it is said of\n"), "{report}");
    assert!(report.contains("MTX_RTSPADDRESS"), "{report}");
    assert!(!report.contains("canary"), "{report}");
    // What is there is not written over.
    let again = run(&["import", &yaml, "--out", &toml]);
    assert_eq!(again.status.code(), Some(2), "{}", text(&again.stderr));
    let checked = run(&["check", &toml]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(
        text(&checked.stdout).starts_with("the configuration is good: 64 streams"),
        "{}",
        text(&checked.stdout)
    );

    let sluice = SLUICE.start(&["-c", &toml]);
    // Each is asked for once somebody watches it.
    assert_eq!(sluice.metric("sluice_streams{state=\"idle\"}"), CAMERAS as f64);
    let streams = Request::get("/v3/paths/list?itemsPerPage=64").send(sluice.admin).json();
    assert_eq!(&streams["itemCount"], 64);
    assert_eq!(sluice.request(Request::get("/site1/cam.1/whep")).status, 401, "who has no name");
    for number in [1, 30, 64] {
        let url = format!("http://wall:canary-wall@{}/site{}/cam.{number}/whep", sluice.http, number % 4);
        SLUICE.load_to(0, &url, &["--viewers", "2", "--duration", "2s"]);
        let path = Request::get(&format!("/v3/paths/get/site{}/cam.{number}", number % 4)).send(sluice.admin);
        assert_eq!(path.json()["ready"], true, "it lingers");
    }
}

#[test]
fn without_out_the_result_goes_to_standard_output_and_the_report_beside_it() {
    let folder = Folder::new("alone");
    let yaml = folder.file("m.yml");
    fs::write(&yaml, "paths:\n  cam:\n    source: rtsp://u:canary@192.0.2.1/main\n")
        .expect("it can be written");
    let imported = run(&["import", &yaml]);
    let (result, report) = (text(&imported.stdout), text(&imported.stderr));
    assert!(imported.status.success(), "{report}");
    assert!(result.contains("[streams.cam]\nsource = \"rtsp://u:canary@192.0.2.1/main\"\n"), "{result}");
    assert!(
        report.starts_with("m.yml: its one path is a stream now") && !report.contains("canary"),
        "{report}"
    );
}

#[test]
fn what_cannot_be_read_is_told_in_one_sentence() {
    let folder = Folder::new("wrong");
    let yaml = folder.file("m.yml");
    fs::write(&yaml, "paths:\n  cam: [\n").expect("it can be written");
    let missing = folder.file("nothing.yml");
    for (file, why) in [(&yaml, "is not the YAML that MediaMTX reads: line 3: "), (&missing, "cannot read ")]
    {
        let wrong = run(&["import", file]);
        let said = text(&wrong.stderr);
        assert_eq!(wrong.status.code(), Some(2), "{said}");
        assert!(said.contains(why) && said.lines().count() == 1 && wrong.stdout.is_empty(), "{said}");
    }
}
