//! A log that nobody takes: what is served does not notice, and the end is as always.
#![expect(clippy::disallowed_methods, reason = "tests run against real time and real sockets")]

use std::io::{BufRead as _, BufReader, PipeReader, Write, pipe};
use std::net::UdpSocket;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sluice_harness::viewers::Viewers;
use sluice_harness::wait::wait_for;
use sluice_harness::{Binary, Request, Sluice};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// A pipe that is full, and its reader, which does not read.
fn stuck() -> (Stdio, PipeReader) {
    let (reader, mut writer) = pipe().expect("a pipe");
    let filler = writer.try_clone().expect("its end again");
    // It ends with the reader.
    std::thread::spawn(move || while writer.write_all(&[b'.'; 1_024]).is_ok() {});
    std::thread::sleep(Duration::from_millis(200));
    (filler.into(), reader)
}

/// Viewers watch, others join, and a stop is a stop, while more is logged than a pipe holds.
fn serves_and_stops(sluice: Sluice, loses_at_once: bool) {
    sluice.wait_until_playing("demo");
    let viewers = Viewers::join_many(&sluice, "demo", 8);
    viewers.wait_until_watching();
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let offer = include_str!("data/chromium-156.sdp");
    for _ in 0..40 {
        // A STUN request with attributes that the library warns of, each in a line.
        let mut datagram = vec![0, 1, 5, 0, 0x21, 0x12, 0xa4, 0x42];
        datagram.resize(20, 0);
        datagram.extend([0, 1, 0, 0].repeat(320));
        stranger.send_to(&datagram, ("127.0.0.1", sluice.udp_port)).expect("it is sent");
        assert_eq!(sluice.request(Request::offer("/demo/whep", offer)).status, 201);
    }
    let now = Instant::now();
    for stats in viewers.stats() {
        assert!(stats.video.silence(now) < Duration::from_secs(2), "{stats:?}");
        assert!(stats.video.longest_pause < Duration::from_secs(2), "{stats:?}");
    }
    if loses_at_once {
        sluice.wait_for_metric("sluice_log_lost_lines_total", "counts", |lost| lost > 0.0);
    }
    assert_eq!(Request::get("/livez").send(sluice.admin).status, 200);
    let began = Instant::now();
    let (status, _) = sluice.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop(viewers);
}

/// Libraries may speak, so that strangers and joins write many lines.
const LOUD: [&str; 2] = ["--set", "log.level=debug,is=debug,str0m=debug,dimpl=debug"];

#[test]
fn a_collector_that_hangs_stops_nothing() {
    let (stderr, reader) = stuck();
    let sluice = SLUICE.start_logging_to(stderr, &LOUD);
    serves_and_stops(sluice, false);
    drop(reader);
}

#[test]
fn a_collector_that_died_stops_nothing() {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    serves_and_stops(SLUICE.start_logging_to(writer.into(), &LOUD), true);
}

#[test]
fn a_full_disk_stops_nothing() {
    let full = std::fs::File::create("/dev/full").expect("this device");
    serves_and_stops(SLUICE.start_logging_to(full.into(), &LOUD), true);
}

#[test]
fn words_of_libraries_for_each_packet_are_not_logged() {
    let sluice = SLUICE.start(&["--set", "log.level=info"]);
    sluice.wait_until_playing("demo");
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let before = sluice.log().len();
    for _ in 0..2_000 {
        let datagram = [&[0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42][..], &[0; 12], &[0, 1, 0, 0]].concat();
        stranger.send_to(&datagram, ("127.0.0.1", sluice.udp_port)).expect("it is sent");
        std::thread::sleep(Duration::from_micros(200));
    }
    sluice.wait_for_metric("sluice_ingress_datagrams_total", "has come in", |count| count >= 1_000.0);
    let log = sluice.log();
    assert!(log.len() < before + 1_000, "{log}");
}

#[test]
fn standard_output_that_cannot_be_written_changes_no_exit_code() {
    let full = || std::fs::File::create("/dev/full").expect("this device");
    for (arguments, code) in [
        (&["check", "config/sluice.toml"][..], 0),
        (&["--set", "udp.port=x"][..], 2),
        (&["--nonsense"][..], 2),
    ] {
        let mut command = SLUICE.command();
        let status = command.args(arguments).stdout(full()).stderr(full()).status().expect("the binary runs");
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

/// A server whose standard error is a pipe that systemd would have tied to the journal.
fn run_by_systemd(wrapped: &[&str], ours: bool) -> (Child, PipeReader) {
    let (reader, writer) = pipe().expect("a pipe");
    let end = std::fs::File::from(std::os::fd::OwnedFd::from(writer));
    let metadata = end.metadata().expect("its inode");
    // systemd.exec(5): the device and the inode that standard error is tied to.
    let inode = metadata.ino() + u64::from(!ours);
    let sluice = SLUICE.command();
    let mut command = match wrapped {
        [] => sluice,
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(sluice.get_program());
            command
        }
    };
    let child = command
        .args(["--set", "http.listen=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0"])
        .args(["--set", "udp.address=127.0.0.1", "--set", "shards.count=1", "cam=rtsp://127.0.0.1:1/x"])
        .args(["--set", &format!("udp.port={}", sluice_harness::ports::free_udp_ports(1))])
        .env("JOURNAL_STREAM", format!("{}:{inode}", metadata.dev()))
        .stdout(Stdio::null())
        .stderr(end)
        .spawn()
        .expect("the binary starts");
    (child, reader)
}

/// Needs root: the place of the journal's socket is fixed, so the server gets a `/run` of its own.
#[test]
fn the_journal_gets_entries_with_fields_where_it_takes_them() {
    let folder = std::env::temp_dir().join(format!("sluice-journal-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let journal = UnixDatagram::bind(folder.join("socket")).expect("a socket");
    journal.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let place = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
                 mount --bind \"$0\" /run/systemd/journal && exec \"$@\"";
    let place = ["unshare", "--mount", "sh", "-c", place, folder.to_str().expect("UTF-8")];
    let (mut child, reader) = run_by_systemd(&place, true);
    let mut room = vec![0; 1 << 16];
    let entry = wait_for("an entry about the camera", || {
        let length = journal.recv(&mut room).expect("an entry");
        let entry = String::from_utf8(room[..length].to_vec()).expect("no value has a length");
        (entry.contains("SLUICE_STREAM=cam\n") && entry.contains("PRIORITY=4\n")).then_some(entry)
    });
    let lines: Vec<&str> = entry.lines().collect();
    for line in ["SYSLOG_IDENTIFIER=sluice", "SLUICE_PART=sluice::source::rtsp"] {
        assert!(lines.contains(&line), "no {line} in {entry}");
    }
    let said = lines.iter().find_map(|line| line.strip_prefix("MESSAGE=")).expect("a sentence");
    assert!(said.contains("stream=\"cam\"") && !said.contains("WARN"), "{said}");
    let _ = child.kill();
    let _ = child.wait();
    let left = std::io::read_to_string(reader).expect("text");
    assert_eq!(left, "", "nothing is said twice");
    std::fs::remove_dir_all(folder).expect("a folder");
}

#[test]
fn a_journal_that_takes_no_entries_gets_priorities_and_no_times_and_others_do_not() {
    for ours in [true, false] {
        let (mut child, reader) = run_by_systemd(&[], ours);
        let line = BufReader::new(reader).lines().next().expect("a line").expect("text");
        let _ = child.kill();
        let _ = child.wait();
        assert_eq!(line.starts_with("<6> INFO sluice"), ours, "{line}");
        assert_eq!(line.starts_with("20"), !ours, "{line}");
    }
}
