//! `sluice bench` as an operator runs it, small: it measures, it writes its report, and it leaves nothing
//! behind, whether it ends or is interrupted. Between namespaces where this machine lets us, else over loopback.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sluice_harness::ports::{free_port, free_udp_ports};
use sluice_harness::{Binary, wait_for};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// A directory for one bench, gone with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        Directory(std::env::temp_dir().join(format!("sluice-bench-{}", rand::random::<u64>())))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Processor cores are few and tests are many: whatever runs beside a bench, it must end.
fn bench(arguments: &[&str], out: &Path) -> Output {
    SLUICE.command().arg("bench").args(arguments).arg("--out").arg(out).output().expect("the binary starts")
}

fn report(output: &Output, out: &Path) -> Value {
    let text = std::fs::read(out.join("report.json"));
    let text = text.unwrap_or_else(|error| panic!("no report ({error}): {}", text_of(output)));
    serde_json::from_slice(&text).expect("the report is JSON")
}

fn text_of(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}\n{err}")
}

fn number(report: &Value, pointer: &str) -> f64 {
    report.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {pointer} in {report:#}"))
}

/// Namespaces of benches that process `pid` made.
fn namespaces(pid: u32) -> Vec<String> {
    let names = std::fs::read_dir("/run/netns").map(|entries| {
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    });
    let names: Vec<String> = names.unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with(&format!("sluice-bench-{pid}-"))).collect()
}

/// Processes whose command line has `word`, but for `own`.
fn processes_with(word: &str, own: u32) -> Vec<String> {
    let pids = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let lines = pids.filter(|pid| *pid != own).map(|pid| {
        String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
            .replace('\0', " ")
    });
    lines.filter(|line| line.contains(word)).collect()
}

#[test]
fn egress_measures_server_and_floor_and_leaves_nothing_behind() {
    let out = Directory::new();
    let child = SLUICE
        .command()
        .args(["bench", "egress", "--quick", "--viewers=10,20", "--out"])
        .arg(&out.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let pid = child.id();
    let output = child.wait_with_output().expect("its output");
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let report = report(&output, &out.0);
    for (index, viewers) in [10.0, 20.0].into_iter().enumerate() {
        let figure = |name: &str| number(&report, &format!("/figures/{index}/{name}/median"));
        assert_eq!(number(&report, &format!("/figures/{index}/viewers")), viewers);
        assert_eq!(figure("joined"), viewers, "{report:#}");
        // 182 packets a second and viewer; half of it would do on a busy machine.
        assert!(figure("packets_per_second") > viewers * 90.0, "{report:#}");
        assert!(figure("loss") < 0.01, "{report:#}");
        assert!(figure("floor_ns_per_packet") > 0.0 && figure("server_ns_per_packet") > 0.0, "{report:#}");
        assert!(figure("cost_over_floor") > 0.0, "{report:#}");
        // The floor sends what the server sends: a server of few viewers has more else to say.
        let (server, floor) = (figure("server_packets_per_message"), figure("floor_packets_per_message"));
        assert!(floor > 2.0 && (0.5..1.5).contains(&(server / floor)), "{server} and {floor}: {report:#}");
    }
    let markdown = std::fs::read_to_string(out.0.join("report.md")).expect("the report");
    assert_eq!(markdown, String::from_utf8_lossy(&output.stdout), "what was printed");
    assert!(markdown.contains("cost / floor") && markdown.contains("| 10 |"), "{markdown}");
    assert_eq!(namespaces(pid), Vec::<String>::new());
}

#[test]
fn an_interrupt_ends_every_process_and_namespace() {
    let out = Directory::new();
    let mut child = SLUICE
        .command()
        .args(["bench", "egress", "--quick", "--viewers=5", "--out"])
        .arg(&out.0)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let (pid, directory) = (child.id(), out.0.display().to_string());
    // The generator's command line names the file of its result in DIR.
    wait_for("the generator to run", || (!processes_with(&directory, pid).is_empty()).then_some(()));
    Command::new("kill").args(["-INT", &pid.to_string()]).status().expect("kill runs");
    let status = wait_for("the bench to end", || child.try_wait().expect("its status"));
    assert_eq!(status.code(), Some(2));
    assert_eq!(processes_with(&directory, pid), Vec::<String>::new());
    assert_eq!(namespaces(pid), Vec::<String>::new());
    assert!(!out.0.join("report.json").exists(), "there is nothing to report");
}

#[test]
fn who_comes_when_is_told_apart_and_nobody_loses_anything_where_there_is_room() {
    let out = Directory::new();
    let output = bench(&["overload", "--quick", "--viewers=8"], &out.0);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let report = report(&output, &out.0);
    for door in 0..2 {
        for (class, viewers) in [2.0, 2.0, 4.0].into_iter().enumerate() {
            let figure = |name: &str| number(&report, &format!("/figures/doors/{door}/1/{class}/{name}"));
            assert_eq!((figure("viewers"), figure("stayed/median")), (viewers, viewers), "{report:#}");
            assert_eq!((figure("refused/median"), figure("sent_away/median")), (0.0, 0.0), "{report:#}");
            assert!(figure("loss/median") < 0.01, "{report:#}");
        }
    }
    assert!(text_of(&output).contains("| as by default |"), "{}", text_of(&output));
}

#[test]
fn a_peer_is_measured_by_the_same_viewers() {
    let (out, peer) = (Directory::new(), SLUICE.start(&["--set", "shards.count=1"]));
    peer.wait_until_playing("demo");
    let peer_argument = format!("--peer=other=http://{}/demo/whep,{}", peer.http, peer.pid());
    let output = bench(&["compare", "--quick", "--viewers=5", &peer_argument], &out.0);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let report = report(&output, &out.0);
    for (index, name) in ["sluice", "other"].into_iter().enumerate() {
        assert_eq!(report["figures"][index]["name"], name);
        assert_eq!(number(&report, &format!("/figures/{index}/joined/median")), 5.0, "{report:#}");
        assert!(number(&report, &format!("/figures/{index}/packets_per_second/median")) > 5.0 * 90.0);
    }
    assert!(text_of(&output).contains("| other |"), "{}", text_of(&output));
    peer.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
}

/// Needs ffmpeg, as `tests/all` installs it.
#[test]
fn a_server_that_the_bench_starts_is_searched_beside_ours_and_ends() {
    let out = Directory::new();
    let (http, admin, udp) = (free_port(), free_port(), free_udp_ports(1));
    let word = format!("udp.port={udp}");
    // By `timeout`, which starts it as a process that the bench does not know, and would outlive it for a while.
    let peer = format!(
        "--peer=other=http://{{server}}:{http}/cam1/whep timeout --foreground 600 {} --set http.listen={{server}}:{http} --set \
         admin.listen={{server}}:{admin} --set {word} --set ice.addresses={{server}} cam1={{camera}}",
        env!("CARGO_BIN_EXE_sluice")
    );
    let output = bench(&["capacity", "--quick", "--most=3", "--clips=1", &peer], &out.0);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let report = report(&output, &out.0);
    for (index, name) in ["sluice", "other"].into_iter().enumerate() {
        let server = &report["figures"]["clips"][0]["servers"][index];
        assert_eq!(server["name"], name, "{report:#}");
        // On a busy machine fewer may be carried, or none; what was tried first was measured anyway.
        let first = |name: &str| number(server, &format!("/steps/0/0/{name}"));
        assert_eq!(first("viewers"), 3.0, "{report:#}");
        assert!(first("cores") > 0.0 && first("delivered") > 0.5, "{report:#}");
        assert!((0.0..=3.0).contains(&number(server, "/viewers/median")), "{report:#}");
    }
    assert!(text_of(&output).contains("| other |"), "{}", text_of(&output));
    assert_eq!(processes_with(&word, std::process::id()), Vec::<String>::new(), "it ended with the bench");
    let decoded = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-xerror", "-i"])
        .arg(out.0.join("clip-1.h264"))
        .args(["-f", "null", "-"])
        .output()
        .expect("ffmpeg is there: tests/all installs it");
    let said = String::from_utf8_lossy(&decoded.stderr);
    assert!(
        decoded.status.success() && said.is_empty(),
        "the clip can be decoded without a complaint: {said}"
    );
}

#[test]
fn what_cannot_be_measured_is_told_with_the_way_out() {
    let out = Directory::new();
    for (arguments, word) in [
        (&["egress", "--server-core=100000"][..], "100000"),
        (&["compare", "--peer=x=http://127.0.0.1:1/whep,4294967295"], "must run already"),
        (&["compare", "--peer=x=http://127.0.0.1:1/whep,1", "--network=namespaces"], "leave --network out"),
        (&["compare", "--peer=x"], "NAME=WHEP_URL,PID"),
        (&["capacity", "--peer=x=http://127.0.0.1:1/whep,1"], "NAME=WHEP_URL COMMAND"),
        (&["capacity", "--load=1.5"], "0.95 of a core"),
        (&["churn", "--quick", "--network=loopback", "--receiving=receiver"], "--network namespaces"),
        (&["soak", "--hours=0"], "hours"),
        (&["churn", "--rounds=2"], "leave --rounds out"),
    ] {
        let output = bench(arguments, &out.0);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text_of(&output));
        assert!(text_of(&output).contains(word), "{arguments:?}: {}", text_of(&output));
    }
}
