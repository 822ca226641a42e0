//! Profiles over HTTP: what `go tool pprof` gets, who has to wait, and what is not said.
#![expect(clippy::disallowed_methods, reason = "a test sleeps")]

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::Command;

use flate2::read::GzDecoder;
use sluice_harness::ports::free_tcp_address;
use sluice_harness::{Binary, Request, Response, Sluice, wait_for};

const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// A server with a listener for profiles, and its address.
fn start(arguments: &[&str]) -> (Sluice, SocketAddr) {
    let address = free_tcp_address();
    let listen = format!("pprof.listen={address}");
    (SLUICE.start(&[&["--set", &listen], arguments].concat()), address)
}

fn get(address: SocketAddr, path: &str) -> Response {
    let response = Request::get(path).send(address);
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    response
}

/// A field of a message: its number, and the number or bytes that it holds.
enum Field<'a> {
    Number(u64, u64),
    Bytes(u64, &'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a number ends");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number of more than 64 bits");
}

fn fields(mut bytes: &[u8]) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        fields.push(match key & 7 {
            0 => Field::Number(key >> 3, varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (inner, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(key >> 3, inner)
            }
            other => panic!("wire type {other}"),
        });
    }
    fields
}

fn messages(bytes: &[u8], number: u64) -> Vec<&[u8]> {
    fields(bytes)
        .into_iter()
        .filter_map(|field| match field {
            Field::Bytes(found, inner) if found == number => Some(inner),
            _ => None,
        })
        .collect()
}

fn number(bytes: &[u8], number: u64) -> u64 {
    fields(bytes)
        .into_iter()
        .find_map(|field| match field {
            Field::Number(found, value) if found == number => Some(value),
            _ => None,
        })
        .unwrap_or(0)
}

fn numbers(bytes: &[u8], number: u64) -> Vec<u64> {
    let mut all = Vec::new();
    for mut packed in messages(bytes, number) {
        while !packed.is_empty() {
            all.push(varint(&mut packed));
        }
    }
    all
}

/// A profile as its reader has it: names of functions, innermost first, and the values of each sample.
struct Profile {
    samples: Vec<(Vec<String>, Vec<i64>, Option<String>)>,
    /// File and build id of each mapping.
    mappings: Vec<(String, String)>,
}

impl Profile {
    fn decode(gzip: &[u8]) -> Profile {
        let mut bytes = Vec::new();
        GzDecoder::new(gzip).read_to_end(&mut bytes).expect("gzip");
        let strings: Vec<String> = messages(&bytes, 6).iter().map(|text| utf8(text)).collect();
        let string = |message: &[u8], field| strings[number(message, field) as usize].clone();
        let functions: HashMap<u64, String> =
            messages(&bytes, 5).iter().map(|function| (number(function, 1), string(function, 2))).collect();
        let locations: HashMap<u64, Vec<String>> = messages(&bytes, 4)
            .iter()
            .map(|location| {
                let lines = messages(location, 4);
                (number(location, 1), lines.iter().map(|line| functions[&number(line, 1)].clone()).collect())
            })
            .collect();
        let samples = messages(&bytes, 2).into_iter().map(|sample| {
            let stack = numbers(sample, 1).iter().flat_map(|location| locations[location].clone()).collect();
            let thread = messages(sample, 3).first().map(|label| string(label, 2));
            (stack, numbers(sample, 2).into_iter().map(|value| value as i64).collect(), thread)
        });
        let mappings =
            messages(&bytes, 3).iter().map(|mapping| (string(mapping, 5), string(mapping, 6))).collect();
        Profile { samples: samples.collect(), mappings }
    }

    /// The share of the samples, by their first value, that are so.
    fn share(&self, so: impl Fn(&[String], Option<&str>) -> bool) -> f64 {
        let sum = |samples: &mut dyn Iterator<Item = &(Vec<String>, Vec<i64>, Option<String>)>| {
            samples.map(|(_, values, _)| values[0]).sum::<i64>() as f64
        };
        let so = &mut self.samples.iter().filter(|(stack, _, thread)| so(stack, thread.as_deref()));
        sum(so) / sum(&mut self.samples.iter())
    }
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What `go tool pprof -text` makes of it; nothing where there is no Go.
fn text_of(gzip: &[u8], name: &str) -> Option<String> {
    let file = std::env::temp_dir().join(format!("sluice-{}-{name}.pb.gz", std::process::id()));
    std::fs::write(&file, gzip).expect("a file");
    let go = Command::new("go").args(["tool", "pprof", "-text"]).arg(&file).output();
    let _ = std::fs::remove_file(&file);
    let output = go.ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    Some(format!("{said}{}", String::from_utf8_lossy(&output.stdout)))
}

/// `0123456789ab` of `0.1.0 (0123456789ab)`.
fn commit() -> String {
    let output = SLUICE.command().arg("--version").output().expect("it runs");
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    version.trim().rsplit_once('(').expect("a commit").1.trim_end_matches(')').to_owned()
}

#[test]
fn a_cpu_profile_of_a_served_stream_has_names_the_kernel_s_time_and_the_commit() {
    let (sluice, address) = start(&[]);
    sluice.wait_until_playing("demo");
    let url = format!("http://{}/demo/whep", sluice.http);
    let gzip = std::thread::scope(|scope| {
        let load = scope.spawn(|| SLUICE.load(&url, &["--viewers", "100", "--duration", "8s"]));
        sluice.wait_for_metric("sluice_viewers", "is 100", |viewers| viewers == 100.0);
        let gzip = get(address, "/debug/pprof/profile?seconds=4").body;
        assert_eq!(load.join().expect("it ends").code, Some(0), "the viewers lost nothing");
        gzip
    });
    let profile = Profile::decode(&gzip);
    let unknown = profile.share(|stack, _| stack.first().is_none_or(|name| name == "[unknown]"));
    assert!(unknown <= 0.05, "{unknown} without a name");
    let sending = profile.share(|stack, thread| {
        stack[0] == "[kernel] sendmmsg" && thread.is_some_and(|thread| thread.starts_with("shard-"))
    });
    assert!(sending > 0.01, "{sending} in the kernel");
    let sealing = profile.share(|stack, _| {
        stack.iter().any(|name| name.contains("seal")) && stack.iter().any(|name| name.contains("::live"))
    });
    assert!(sealing > 0.01, "{sending} sealing, down to the thread's loop");

    let commit = commit();
    assert_eq!(get(sluice.admin, "/version").json()["revision"], commit.as_str());
    let builds = sluice.metric(&format!("sluice_build_info{{version=\"0.1.0\",revision=\"{commit}\"}}"));
    assert_eq!(builds, 1.0);
    let (program, build) = &profile.mappings[0];
    assert_eq!((program.as_str(), build), (SLUICE.path(), &commit));
    if let Some(text) = text_of(&gzip, "cpu") {
        assert!(text.contains("[kernel] sendmmsg") && text.contains("Type: cpu"), "{text}");
        assert!(text.contains(&format!("Build ID: {commit}")), "{text}");
    }
}

/// Waits until a CPU profile stands in the way of others; they are asked on the other listener, once in a while.
fn wait_until_busy(sluice: &Sluice) -> Response {
    wait_for("a refusal", || {
        // Between these the turn is free.
        std::thread::sleep(std::time::Duration::from_millis(200));
        let answer = Request::get("/debug/pprof/threads").send(sluice.admin);
        Some(answer)
            .filter(|answer| answer.status == 409 && answer.text().contains("a CPU profile is being taken"))
    })
}

#[test]
fn the_second_who_asks_for_a_profile_waits_and_the_turn_comes_back_when_the_first_leaves() {
    let (sluice, address) = start(&[]);
    let picture = std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let picture = || Request::get("/debug/flamegraph?seconds=3").send(address);
            wait_for("a turn", || Some(picture()).filter(|answer| answer.status == 200)).text()
        });
        let second = wait_until_busy(&sluice);
        let after: u64 = second.header("retry-after").expect("when").parse().expect("seconds");
        assert!((1..=4).contains(&after), "{after}");
        first.join().expect("a picture")
    });
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"), "{picture}");

    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Again if another had the turn, until it is told to leave.
            let request = b"GET /debug/pprof/profile?seconds=300 HTTP/1.1\r\nHost: localhost\r\n\r\n";
            let mut kept = Vec::new();
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                let mut stream = std::net::TcpStream::connect(address).expect("a connection");
                stream.set_read_timeout(Some(std::time::Duration::from_secs(2))).expect("a timeout");
                stream.write_all(request).expect("a request");
                if stream.read(&mut [0; 1_024]).is_err() {
                    kept.push(stream);
                    let _ = stopped.recv();
                    break;
                }
            }
        });
        wait_until_busy(&sluice);
        drop(stop);
    });
    let ask = || Request::get("/debug/pprof/threads").send(address);
    wait_for("the turn", || Some(()).filter(|()| ask().status == 200));
}

#[test]
fn what_cannot_be_asked_for_is_refused_in_words() {
    let (sluice, address) = start(&[]);
    for (path, words) in [
        ("/debug/pprof/profile?seconds=0", "seconds is \"0\": give a whole number from 1 to 300"),
        ("/debug/pprof/profile?seconds=301", "seconds is \"301\""),
        ("/debug/pprof/profile?seconds=1.5", "seconds is \"1.5\""),
        ("/debug/flamegraph?seconds=-1", "seconds is \"-1\""),
        ("/debug/pprof/heap?seconds=", "seconds is \"\""),
        ("/debug/pprof/allocs?seconds=99999999999999999999", "from 1 to 300"),
        ("/debug/pprof/goroutine?debug=yes", "debug is \"yes\": give 0, 1 or 2"),
    ] {
        for address in [address, sluice.admin] {
            let answer = Request::get(path).send(address);
            assert_eq!(answer.status, 400, "{path}");
            let said = answer.json()["detail"].as_str().expect("a sentence").to_owned();
            assert!(said.contains(words), "{path}: {said}");
        }
    }
    let answer = Request::new("POST", "/debug/pprof/heap?sampling=maybe").send(address);
    assert!(answer.status == 400 && answer.text().contains("give on or off"), "{}", answer.text());
    assert_eq!(Request::new("POST", "/debug/pprof/profile").send(address).status, 405);
    assert_eq!(Request::get("/metrics").send(address).status, 404, "profiles alone are here");
    assert_eq!(Request::get("/debug/pprof/").header("Host", "evil.example").send(address).status, 421);
    let elsewhere = Request::get("/debug/pprof/heap").header("Origin", "https://evil.example").send(address);
    assert_eq!(elsewhere.status, 403, "a page of another site asks");
    assert!(get(address, "/debug/pprof/").text().contains("/debug/pprof/profile?seconds=30"));
}

#[test]
fn the_heap_is_sampled_from_the_first_question_to_the_word_off() {
    let (sluice, address) = start(&[]);
    sluice.wait_until_playing("demo");
    let sampled = || sluice.log().matches("the heap is sampled from now on").count();
    assert_eq!(sampled(), 0, "nobody asked");
    let first = get(address, "/debug/pprof/heap?seconds=1").body;
    wait_for("the log", || Some(()).filter(|()| sampled() == 1));
    // What is read and named for a profile is allocated, so the next one is not empty.
    let allocs = wait_for("samples", || {
        let profile = get(address, "/debug/pprof/allocs").body;
        Some(profile).filter(|gzip| !Profile::decode(gzip).samples.is_empty())
    });
    let allocated = Profile::decode(&allocs);
    let named = allocated.share(|stack, _| stack.iter().any(|name| name.contains("sluice::profile")));
    assert!(named > 0.0, "its own allocations");
    assert_eq!(
        allocated.share(|stack, _| !stack[0].contains("::")),
        0.0,
        "the allocator's own functions, in C, are not shown: {:?}",
        allocated
            .samples
            .iter()
            .map(|(stack, ..)| &stack[0])
            .filter(|name| !name.contains("::"))
            .collect::<Vec<_>>()
    );
    let text = get(address, "/debug/pprof/allocs?debug=1").text();
    assert!(
        text.starts_with("alloc_space profile: total ") && text.contains("since the heap is sampled"),
        "{text}"
    );
    assert_eq!(sampled(), 1);
    let off = Request::new("POST", "/debug/pprof/heap?sampling=off").send(address);
    assert_eq!((off.status, off.text().trim()), (200, "the heap is not sampled any more"));
    let again = get(address, "/debug/pprof/heap?seconds=1&debug=1").text();
    assert!(again.contains("within 1 s, and no more"), "{again}");
    wait_for("the log", || Some(()).filter(|()| sampled() == 2));
    if let Some(text) = text_of(&allocs, "allocs") {
        assert!(text.contains("Type: alloc_space"), "{text}");
    }
    if let Some(text) = text_of(&first, "heap") {
        assert!(text.contains("Type: inuse_space"), "{text}");
    }
}

#[test]
fn threads_and_tasks_have_names_and_stacks_and_no_page_has_a_password() {
    let (_sluice, address) = start(&["cam1=rtsp://admin:s3cret-word@127.0.0.1:1/x"]);
    let gzip = get(address, "/debug/pprof/goroutine").body;
    let profile = Profile::decode(&gzip);
    let has = |name: &str| profile.samples.iter().any(|(stack, ..)| stack.iter().any(|found| found == name));
    for name in ["thread shard-0", "thread shard-1", "thread http", "thread watchdog", "thread from-cam1"] {
        assert!(has(name), "{name}");
    }
    assert!(has("task http listener") && has("task books"));
    let shard = profile.samples.iter().find(|(.., thread)| thread.as_deref() == Some("shard-0"));
    let (stack, ..) = shard.expect("a shard");
    assert!(stack[0] == "[kernel] epoll_wait" && stack.iter().any(|name| name.contains("live")), "{stack:?}");
    let text = get(address, "/debug/pprof/goroutine?debug=1").text();
    assert!(text.starts_with("goroutine profile: total ") && text.contains("src/server/start.rs:"), "{text}");
    let threads = get(address, "/debug/pprof/threads").text();
    assert!(threads.contains("\nshard-0 (") && threads.contains(" s of CPU\n    "), "{threads}");
    let cmdline = get(address, "/debug/pprof/cmdline").text();
    assert!(cmdline.starts_with(SLUICE.path()) && cmdline.contains("\0cam1=rtsp://"), "{cmdline}");
    assert!(!cmdline.contains("s3cret"), "{cmdline}");
    if let Some(text) = text_of(&gzip, "goroutine") {
        assert!(text.contains("Type: goroutine") && text.contains("thread shard-0"), "{text}");
    }
}
