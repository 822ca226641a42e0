//! `sluice doctor` on a machine that is as it should be, and on the same when it is wrong in three ways.
//!
//! The machine is a network namespace; needs root.

use std::process::{Command, Output};

use serde_json::Value;
use sluice_harness::Binary;
use sluice_harness::namespace::{FAR, Namespace};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// Addresses of the range for measurements (RFC 2544 §C.2.2).
const NEAR: &str = "198.18.233.1";
const HERE: &str = "198.18.233.2";

/// Runs it in there, as a process that may have so many open files and may not overrule the kernel's limits.
fn doctor(namespace: &Namespace, files: u32, arguments: &[&str]) -> Output {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &namespace.name, "prlimit", &format!("--nofile={files}:{files}")]);
    command.args(["setpriv", "--inh-caps=-net_admin", "--bounding-set=-net_admin", SLUICE.path(), "doctor"]);
    command.args(arguments).output().expect("ip, prlimit and setpriv, from iproute2 and util-linux")
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// What is bad, as `check: found`.
fn bad(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().expect("findings");
    let bad = findings.iter().filter(|finding| finding["how"] == "bad");
    bad.map(|finding| format!("{}: {}", finding["check"], finding["found"])).collect()
}

#[test]
fn a_machine_that_is_wrong_in_three_ways_is_told_so_with_what_mends_each() {
    let namespace = Namespace::new(NEAR, HERE);
    let right = report(&doctor(&namespace, 8_000, &["--json", "--set", "udp.receive_buffer=64KiB"]));
    let before = bad(&right);

    namespace.ip(&format!("link set {FAR} mtu 1000"));
    let arguments = ["--json", "--set", "udp.receive_buffer=1GiB"];
    let output = doctor(&namespace, 300, &arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let wrong = report(&output);
    let after = bad(&wrong);
    let new: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    let about = |what: &str| new.iter().any(|line| line.contains(what));
    for what in ["far carries 1000 bytes", "udp.receive_buffer: ", "of 300 open files"] {
        assert!(about(what), "{what} in {new:#?}");
    }
    // As much memory as all sockets may take is more than the kernel allows for UDP, too: nothing else is new.
    assert!(
        new.iter().all(|line| ["\"mtu\"", "\"buffers\"", "\"files\"", "\"udp_mem\""]
            .iter()
            .any(|check| line.starts_with(check))),
        "{new:#?}"
    );
    for finding in wrong["findings"].as_array().expect("findings").iter().filter(|one| one["how"] == "bad") {
        assert!(finding["why"].is_string() && finding["mend"].is_string(), "{finding}");
    }
    let counted = |how: &str| {
        wrong["findings"].as_array().map(|all| all.iter().filter(|one| one["how"] == how).count())
    };
    assert_eq!(Some(wrong["bad"].as_u64().expect("a number") as usize), counted("bad"));

    let text = doctor(&namespace, 300, &arguments[1..]);
    let text = String::from_utf8(text.stdout).expect("text");
    assert!(text.contains("do: ip link set far mtu 1500"), "{text}");
    assert!(text.contains("do: LimitNOFILE=1048576"), "{text}");
    // The address of the namespace is one of the range for measurements, and counts as public.
    assert!(text.contains(&format!("{HERE} announced")), "{text}");
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_as_the_server_would() {
    let output = SLUICE.command().args(["doctor", "--set", "udp.port=0x"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("udp.port"), "{output:?}");
}
