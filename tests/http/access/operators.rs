//! Who may do what on the listeners of operators.

use std::net::SocketAddr;

use sluice_harness::{Request, Response, wait_for};

use super::{guarded, named};
use crate::{SLUICE, refused};

/// What is asked for, by what it takes.
const API: [&str; 5] = ["/", "/streams", "/api/v1/sessions", "/static/operator.js", "/none"];
const METRICS: [&str; 1] = ["/metrics"];
const PPROF: [&str; 2] = ["/debug/pprof/", "/debug/pprof/cmdline"];
const EVERYBODY: [&str; 3] = ["/livez", "/readyz", "/version"];

fn is_let_in(answer: &Response) -> bool {
    match answer.status {
        // /readyz may say that nothing plays yet.
        200 | 404 | 503 => true,
        401 | 403 => false,
        other => panic!("{other}: {}", answer.text()),
    }
}

#[test]
fn the_admin_listener_is_open_until_somebody_is_named_for_it() {
    for keys in [&[][..], &["access.users.ann.password=hunter2", "access.users.ann.read=*"]] {
        let sluice = guarded(keys);
        for path in API.iter().chain(&METRICS).chain(&PPROF).chain(&EVERYBODY) {
            assert!(is_let_in(&Request::get(path).send(sluice.admin)), "{path} with {keys:?}");
        }
        let log = sluice.log();
        assert!(log.contains(&format!("operators: {}, for this machine alone", sluice.admin)), "{log}");
    }
}

#[test]
fn what_others_than_this_machine_can_operate_is_warned_of_at_the_start_and_by_the_reload_that_opens_it() {
    let warns =
        |log: &str, words: &str| log.lines().any(|line| line.contains(" WARN ") && line.contains(words));
    let metrics = "can read the metrics, which name all streams: set metrics.listen to 127.0.0.1";
    let profiles = "can take profiles";
    let open = guarded(&["metrics.listen=[::]:0", "pprof.listen=[::]:0"]);
    let log = wait_for("the hints", || Some(open.log()).filter(|log| log.contains("take profiles")));
    assert!(warns(&log, metrics) && warns(&log, profiles), "{log}");
    assert!(!warns(&log, "see and change everything"), "admin.listen is on loopback: {log}");

    let file = std::env::temp_dir().join(format!("sluice-open-{}.toml", rand::random::<u64>()));
    let text = "pprof.listen = \"[::]:0\"\nstreams.demo.source = \"demo\"\n";
    let user = "access.users.ann = { password = \"canary-long-enough\", api = true }\n";
    std::fs::write(&file, format!("{text}{user}")).expect("a file");
    let sluice = SLUICE.start(&["-c", file.to_str().expect("a path")]);
    let log = wait_for("the hints", || Some(sluice.log()).filter(|log| log.contains("profiles: ")));
    assert!(log.contains("with a name and a password") && !log.contains("can take profiles"), "{log}");
    std::fs::write(&file, text).expect("a file");
    sluice.signal("HUP");
    let log = wait_for("the reload", || Some(sluice.log()).filter(|log| log.contains("can take profiles")));
    let _ = std::fs::remove_file(&file);
    assert!(warns(&log, "from now on whoever reaches TCP") && warns(&log, profiles), "{log}");
    assert!(log.contains("from now on operators: 127.0.0.1"), "{log}");
    assert_eq!(
        log.matches("can open the pages").count(),
        1,
        "who may watch is as it was, and said once: {log}"
    );
    assert!(log.contains("profiles: [::]:") && log.contains("for nobody"), "{log}");
}

#[test]
fn each_operator_may_what_the_file_says() {
    let keys = [
        "access.users.ann.password=hunter2",
        "access.users.ann.api=true",
        "access.users.prometheus.from=192.0.2.7",
        "access.users.prometheus.metrics=true",
        "access.users.dev.password=hunter2",
        "access.users.dev.from=192.0.2.8,127.0.0.1",
        "access.users.dev.pprof=true",
        "access.users.dev.metrics=true",
        "http.trusted_proxies=127.0.0.1",
    ];
    let sets: Vec<&str> = keys.iter().flat_map(|key| ["--set", key]).collect();
    let sluice = SLUICE.start(&sets);
    let ask = |path: &str, from: &str, name: &str| {
        let request = Request::get(path).header("X-Forwarded-For", from);
        let request = if name.is_empty() { request } else { named(request, name, "hunter2") };
        request.send(sluice.admin)
    };
    for (from, name, api, metrics, pprof) in [
        ("192.0.2.1", "", false, false, false),
        ("192.0.2.7", "", false, true, false),
        ("192.0.2.1", "ann", true, false, false),
        // By name, and by where it comes from.
        ("192.0.2.7", "ann", true, true, false),
        ("192.0.2.8", "dev", false, true, true),
        ("192.0.2.9", "dev", false, false, false),
    ] {
        for (paths, may) in [(&API[..], api), (&METRICS, metrics), (&PPROF, pprof), (&EVERYBODY, true)] {
            for path in paths {
                let answer = ask(path, from, name);
                assert_eq!(is_let_in(&answer), may, "{name} from {from}: {path}: {}", answer.text());
            }
        }
    }
    let nobody = ask("/metrics", "192.0.2.1", "");
    assert!(refused(&nobody, 401).contains("a name and a password"));
    assert_eq!(nobody.header("www-authenticate"), Some("Basic realm=\"sluice\", charset=\"UTF-8\""));
    assert_eq!(ask("/api/v1/sessions", "192.0.2.8", "dev").status, 403);
    // The pages are as open as they were.
    assert_eq!(sluice.request(Request::get("/streams.json")).status, 200);
    let decided = named(Request::get("/metrics"), "dev", "hunter2").send(sluice.admin).text();
    for (action, result) in
        [("api", "allowed"), ("api", "no_credentials"), ("metrics", "forbidden"), ("pprof", "allowed")]
    {
        let line = format!("sluice_access_decisions_total{{action=\"{action}\",result=\"{result}\"}} ");
        assert!(
            decided.lines().any(|l| l.strip_prefix(&line).is_some_and(|count| count != "0")),
            "{line}\n{decided}"
        );
    }
}

#[test]
fn a_listener_for_profiles_alone_asks_too() {
    let profiles: SocketAddr = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("its address")
    };
    let listen = format!("pprof.listen={profiles}");
    let dev = ["--set", "access.users.dev.password=hunter2", "--set", "access.users.dev.pprof=true"];
    let _sluice = SLUICE.start(&[&dev[..], &["--set", &listen]].concat());
    let ask = |name: &str, password: &str| {
        named(Request::get("/debug/pprof/cmdline"), name, password).send(profiles).status
    };
    assert_eq!((ask("dev", "hunter2"), ask("dev", "hunter"), ask("ann", "hunter2")), (200, 401, 401));
    assert_eq!(Request::get("/debug/pprof/").send(profiles).status, 401);
    let signpost = Request::get("/").send(profiles);
    assert!(signpost.status == 200 && signpost.text().contains("/debug/pprof/"), "{}", signpost.text());
}

#[test]
fn a_listener_for_metrics_alone_says_where_they_are_and_keeps_them() {
    let metrics: SocketAddr = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("its address")
    };
    let listen = format!("metrics.listen={metrics}");
    let prometheus = [
        "--set",
        "access.users.prometheus.password=hunter2",
        "--set",
        "access.users.prometheus.metrics=true",
    ];
    let _sluice = SLUICE.start(&[&prometheus[..], &["--set", &listen]].concat());
    let ask = |path: &str| Request::get(path).send(metrics);
    let signpost = ask("/");
    assert!(signpost.status == 200 && signpost.text().contains("/metrics"), "{}", signpost.text());
    assert!(!signpost.text().contains("sluice_"), "{}", signpost.text());
    assert_eq!(ask("/metrics").status, 401);
    assert_eq!(named(Request::get("/metrics"), "prometheus", "hunter2").send(metrics).status, 200);
    assert!(refused(&ask("/api/v1/sessions"), 404).contains("/metrics is all"));
}

#[test]
fn a_browser_that_is_refused_reads_why_on_a_page_and_programs_read_json() {
    let ann = ["--set", "access.users.ann.password=hunter2", "--set", "access.users.ann.metrics=true"];
    let bob = ["--set", "access.users.bob.password=hunter3", "--set", "access.users.bob.api=true"];
    let sluice = SLUICE.start(&[&ann[..], &bob[..]].concat());
    let window = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let ask = |path: &str, host: &str| {
        let request = named(Request::get(path), "ann", "hunter2").header("Accept", window);
        if host.is_empty() { request } else { request.header("Host", host) }.send(sluice.admin)
    };
    for (path, host, status, words) in [
        ("/", "", 403, "Who is let in by this name"),
        ("/api/v1/sessions", "", 403, "Who is let in by this name"),
        ("/", "evil.example", 421, "This listener does not answer to the name"),
    ] {
        let page = ask(path, host);
        assert_eq!(page.status, status, "{}", page.text());
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("vary"), Some("Accept"));
        assert!(
            page.header("content-security-policy")
                .is_some_and(|policy| policy.contains("default-src 'none'"))
        );
        let html = page.text();
        assert!(
            html.contains(&format!("<p>{words}")) && html.contains("</main>") && !html.contains('{'),
            "{html}"
        );
    }
    // The style of that page is no secret.
    assert_eq!(Request::get("/static/style.css").send(sluice.admin).status, 200);
    assert_eq!(Request::get("/static/operator.js").send(sluice.admin).status, 401);
    let nobody = Request::get("/").header("Accept", window).send(sluice.admin);
    assert!(nobody.status == 401 && nobody.text().contains("<h1>Unauthorized"), "{}", nobody.text());
    assert!(nobody.header("www-authenticate").is_some_and(|said| said.starts_with("Basic")));
    let program = named(Request::get("/api/v1/sessions"), "ann", "hunter2").header("Accept", "*/*");
    assert!(refused(&program.send(sluice.admin), 403).contains("who is let in by this name"));
}
