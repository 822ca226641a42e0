//! Names and passwords.
#![expect(clippy::disallowed_methods, reason = "refusals take their time")]

use std::time::{Duration, Instant};

use sluice_harness::{Request, Response, Sluice, wait_for};

use super::{OFFER, guarded, hash, named};
use crate::{SLUICE, refused};

/// `ann` may watch the gate, `bob` everything; `cat` may watch the yard, and her password is hashed.
fn three_users(more: &[&str]) -> Sluice {
    let cat = format!("access.users.cat.password={}", hash("meow"));
    let keys = [
        "access.users.ann.password=hunter2",
        "access.users.ann.read=gate",
        // `hunter2`, as MediaMTX has it.
        "access.users.bob.password=sha256:9S+9MrKzuG/4jvbEkGKChfSCrxXdyylUH5S89Saj9sc=",
        "access.users.bob.read=*",
        &cat,
        "access.users.cat.read=y*d",
    ];
    guarded(&[&keys[..], more].concat())
}

fn names(list: &Response) -> Vec<String> {
    assert_eq!(list.status, 200, "{}", list.text());
    let list = list.json();
    let streams = list["streams"].as_array().expect("streams");
    streams.iter().map(|stream| stream["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_user_may_what_the_file_says_and_others_are_asked_who_they_are() {
    let sluice = three_users(&[]);
    for (name, password, streams) in
        [("ann", "hunter2", &["gate"][..]), ("bob", "hunter2", &["gate", "yard"]), ("cat", "meow", &["yard"])]
    {
        let get = |path: &str| sluice.request(named(Request::get(path), name, password));
        assert_eq!(names(&get("/streams.json")), streams, "{name}");
        assert_eq!(get("/").status, 200);
        for stream in ["gate", "yard", "attic"] {
            let may = streams.contains(&stream) || name == "bob";
            let there = stream != "attic";
            let status = |good: u16| if may { if there { good } else { 404 } } else { 403 };
            for (path, good) in [("frame.mp4", 200), ("whep", 204)] {
                let answer = get(&format!("/{stream}/{path}"));
                assert_eq!(answer.status, status(good), "{name} {stream} {path}: {}", answer.text());
            }
            let offer = Request::offer(&format!("/{stream}/whep"), OFFER);
            assert_eq!(sluice.request(named(offer, name, password)).status, status(201), "{name} {stream}");
            // The page explains in words what it is refused, and is the same for any name then.
            assert_eq!(get(&format!("/{stream}/")).status, if may && !there { 404 } else { 200 });
        }
    }
    let players =
        sluice.request(Request::offer("/gate/whep", OFFER).header("Authorization", "Bearer ann:hunter2"));
    assert_eq!(players.status, 201, "{}", players.text());
    let anyone = |path: &str| sluice.request(Request::get(path));
    for path in
        ["/", "/gate/", "/attic/", "/streams.json", "/gate/frame.mp4", "/attic/frame.mp4", "/gate/whep"]
    {
        let answer = anyone(path);
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Basic realm=\"sluice\", charset=\"UTF-8\""),
            "{path}"
        );
        assert!(!answer.text().contains("<script"), "a page that asks has nothing that asks again");
    }
    assert_eq!((anyone("/static/style.css").status, anyone("/static/whep.js").status), (200, 200));
    let preflight = sluice.request(Request::new("OPTIONS", "/gate/whep"));
    assert_eq!(preflight.status, 200, "it carries no credentials");
}

#[test]
fn a_script_is_refused_without_the_question_that_a_browser_passes_on() {
    let sluice = three_users(&[]);
    let challenge = |request: Request| {
        let answer = sluice.request(request);
        assert_eq!(answer.status, 401);
        answer.header("www-authenticate").expect("a challenge (RFC 9110 §15.5.2)").to_owned()
    };
    let (list, join) = (|| Request::get("/streams.json"), || Request::offer("/gate/whep", OFFER));
    for request in [
        list().header("X-Requested-With", "fetch"),
        join().header("Origin", "http://127.0.0.1"),
        named(list().header("X-Requested-With", "fetch"), "ann", "hunter"),
        named(list().header("Sec-Fetch-Mode", "cors"), "ann", "hunter"),
    ] {
        assert_eq!(challenge(request), "Bearer realm=\"sluice\"");
    }
    for request in [
        // Of a page below another path, the browser knows a name and sends it when it is challenged.
        list().header("Sec-Fetch-Mode", "cors"),
        named(list().header("Sec-Fetch-Mode", "navigate"), "ann", "hunter"),
        named(list(), "ann", "hunter"),
        join(),
    ] {
        assert!(challenge(request).starts_with("Basic "));
    }
}

#[test]
fn a_page_that_is_refused_says_what_helps_and_nothing_that_does_not() {
    let sluice = three_users(&[]);
    let page = |path: &str| sluice.request(Request::get(path)).text();
    let asked = page("/gate/");
    assert!(asked.contains("<p>A name and a password, or a token, are needed here.</p>"), "{asked}");
    assert!(asked.contains("Load the page again to be asked once more"), "{asked}");
    // The browser asks nobody for another token, however often it is loaded.
    let token = page("/gate/?token=sluice_x");
    assert!(token.contains("<p>The name, the password or the token is wrong.</p>"), "{token}");
    assert!(!token.contains("again") && token.contains("<body class=\"refused\">"), "{token}");
    let yard = sluice.request(named(Request::get("/yard/frame.mp4"), "ann", "hunter2"));
    let said = refused(&yard, 403);
    assert!(said.contains("who is let in by this name or token may not watch this from 127.0.0.1"), "{said}");
}

#[test]
fn a_wrong_name_is_answered_as_a_wrong_password_is() {
    let sluice = three_users(&[]);
    let ask = |name: &str, password: &str| {
        let began = Instant::now();
        let answer = sluice.request(named(Request::offer("/gate/whep", OFFER), name, password));
        // No sooner than a hash takes, whether there was one to compute or not.
        assert!(began.elapsed() >= Duration::from_millis(300), "{name}");
        (answer.status, answer.text(), answer.header("www-authenticate").map(str::to_owned))
    };
    let unknown = ask("dora", "hunter2");
    assert_eq!(unknown.0, 401);
    for (name, password) in [("ann", "hunter"), ("bob", "hunter"), ("cat", "hunter2"), ("", ""), ("ann", "")]
    {
        assert_eq!(ask(name, password), unknown, "{name}");
    }
    assert_eq!(sluice.metric("sluice_access_decisions_total{action=\"read\",result=\"wrong\"}"), 6.0);
    let log = sluice.log();
    let tried = |line: &&str| line.contains("sluice::access") && line.contains("who=\"unknown:");
    assert!(log.lines().find(tried).is_some(), "who tries is told: {log}");
    assert!(
        log.contains("who=\"ann\"") && !log.contains("dora"),
        "a name of nobody may be a password: {log}"
    );
    assert!(!log.contains("hunter"), "{log}");
}

#[test]
fn an_address_that_guesses_waits_and_nobody_else_does() {
    let sluice = three_users(&["http.trusted_proxies=127.0.0.1"]);
    let ask = |client: &str, name: &str, password: &str| {
        let request = named(Request::get("/streams.json"), name, password);
        sluice.request(request.header("X-Forwarded-For", client))
    };
    assert_eq!(ask("192.0.2.1", "cat", "meow").status, 200);
    let began = Instant::now();
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..40)
            .map(|guess| scope.spawn(move || ask("192.0.2.1", "ann", &format!("guess{guess}"))))
            .collect();
        guesses.into_iter().map(|guess| guess.join().expect("an answer")).collect()
    });
    assert!(answers.iter().all(|answer| matches!(answer.status, 401 | 429)));
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    // Twenty, and one each three seconds that all of it took.
    let most = 21 + began.elapsed().as_secs() / 3;
    assert!(looked_at as u64 <= most, "{looked_at} were looked at, {most} at the most");
    let later = ask("192.0.2.1", "ann", "hunter2");
    let said = refused(&later, 429);
    assert!(said.contains("wrong passwords"), "{said}");
    assert!(
        later.header("retry-after").is_some_and(|after| after.parse::<u64>().is_ok_and(|after| after > 0))
    );
    // Who was let in before is known, and others come from elsewhere.
    assert_eq!(ask("192.0.2.1", "cat", "meow").status, 200);
    assert_eq!(ask("192.0.2.2", "ann", "hunter2").status, 200);
    assert!(sluice.metric("sluice_access_decisions_total{action=\"read\",result=\"slowed\"}") > 0.0);
}

#[test]
fn viewers_end_when_a_reload_takes_their_right_and_others_play_on() {
    let cat = hash("meow");
    let text = |ann: &str, cats: &str| {
        format!(
            "streams.gate.source = \"demo\"\n[access.users.ann]\n{ann}\n[access.users.bob]\npassword = \"b\"\n\
             read = [\"gate\"]\n[access.users.cat]\npassword = \"{cat}\"\nread = [\"{cats}\"]\n"
        )
    };
    let file = std::env::temp_dir().join(format!("sluice-users-{}.toml", rand::random::<u64>()));
    let write = |text: String| std::fs::write(&file, text).expect("the file is written");
    write(text("password = \"a\"\nread = [\"*\"]", "gate"));
    let sluice = SLUICE.start(&["-c", file.to_str().expect("a path")]);
    sluice.wait_until_playing("gate");
    let join = |name: &str, password: &str| {
        let answer = sluice.request(named(Request::offer("/gate/whep", OFFER), name, password));
        assert_eq!(answer.status, 201, "{name}: {}", answer.text());
        answer.session("/gate/whep").expect("a session")
    };
    let [ann, bob, cats] =
        [("ann", "a"), ("bob", "b"), ("cat", "meow")].map(|(name, password)| join(name, password));
    // Ann has another password from now on, and cat may watch something else.
    write(text("password = \"A\"\nread = [\"*\"]", "yard"));
    sluice.signal("HUP");
    let ends = "sluice_viewer_ends_total{reason=\"access_revoked\"}";
    sluice.wait_for_metric(ends, "is 2", |ended| ended == 2.0);
    assert_eq!(sluice.metric("sluice_sessions"), 1.0);
    let look = |session: &str, name: &str, password: &str| {
        sluice.request(named(Request::get(session), name, password)).status
    };
    assert_eq!(look(&bob, "bob", "b"), 204, "nothing of his changed");
    assert_eq!((look(&ann, "ann", "a"), look(&ann, "ann", "A")), (401, 404), "her session is over");
    assert_eq!(look(&cats, "cat", "meow"), 403);
    let _ = join("ann", "A");
    std::fs::remove_file(&file).expect("it is there");
    wait_for("the line", || sluice.log().contains("viewers end with the right to watch").then_some(()));
}

#[test]
fn a_password_that_stands_there_as_it_is_and_a_user_without_a_right_are_warned_of() {
    let file = std::env::temp_dir().join(format!("sluice-plain-{}.toml", rand::random::<u64>()));
    let ann = "access.users.ann = { password = \"hunter2\", read = [\"*\"] }\n";
    std::fs::write(&file, format!("{ann}access.users.bob = {{ password = \"x\" }}\n")).expect("a file");
    let output = SLUICE.command().args(["check"]).arg(&file).output().expect("the binary runs");
    std::fs::remove_file(&file).expect("it is there");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("the user ann") && said.contains("sluice hash"),
        "{said}"
    );
    assert!(!said.contains("hunter2"));
    let nothing = |name: &str| said.contains(&format!("the user {name} has no right"));
    assert!(nothing("bob") && !nothing("ann"), "{said}");
}
