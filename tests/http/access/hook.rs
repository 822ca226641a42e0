//! Another server that says who may (`access.hook`).
#![expect(clippy::disallowed_methods, reason = "answers that are late are late in real time")]

use std::time::{Duration, Instant};

use serde_json::json;
use sluice_harness::Request;

use super::other::Other;
use super::{OFFER, guarded, named};
use crate::refused;

#[test]
fn it_is_asked_as_mediamtx_asks_and_its_answer_holds_for_a_while() {
    let judge = Other::start(|question| {
        let knows =
            question["user"] == "ann" && question["password"] == "hunter2" || question["token"] == "key";
        (if knows && question["path"] == "gate" { 204 } else { 401 }, String::new())
    });
    let sluice = guarded(&[&format!("access.hook.url={}", judge.url("/auth"))]);
    let join =
        |stream: &str| Request::offer(&format!("/{stream}/whep?x=1"), OFFER).header("User-Agent", "test");
    for _ in 0..3 {
        let joined = sluice.request(named(join("gate"), "ann", "hunter2"));
        assert_eq!(joined.status, 201, "{}", joined.text());
    }
    assert_eq!(
        judge.asked(),
        [json!({
            "ip": "127.0.0.1", "user": "ann", "password": "hunter2", "token": "", "action": "read", "path": "gate",
            "protocol": "webrtc", "id": "", "query": "x=1", "userAgent": "test",
        })]
    );
    let bearer = sluice.request(join("gate").header("Authorization", "Bearer key"));
    assert_eq!(bearer.status, 201, "{}", bearer.text());
    for (request, challenge) in [
        (named(join("gate"), "ann", "hunter"), "Basic"),
        (named(join("yard"), "ann", "hunter2"), "Basic"),
        (join("gate"), "Basic"),
        (join("gate").header("Authorization", "Bearer lock"), "Bearer"),
    ] {
        let answer = sluice.request(request);
        refused(&answer, 401);
        assert!(answer.header("www-authenticate").is_some_and(|said| said.starts_with(challenge)));
    }
    assert_eq!(judge.asked().len(), 6, "each of these is another question");
    assert!(!sluice.log().contains("hunter"), "{}", sluice.log());
}

#[test]
fn of_the_list_it_is_asked_about_each_stream_and_may_say_no_to_all_of_it() {
    let judge = Other::start(|question| {
        let may = match question["query"].as_str() {
            Some("key=all") => true,
            Some("key=list") => question["path"] == "" || question["path"] == "gate",
            Some("key=gate") => question["path"] == "gate",
            _ => false,
        };
        (if may { 204 } else { 401 }, String::new())
    });
    let sluice = guarded(&[&format!("access.hook.url={}", judge.url("/auth"))]);
    let get = |path: &str| sluice.request(Request::get(path));
    let list = get("/streams.json?key=all");
    assert_eq!(list.status, 200, "{}", list.text());
    let names = |list: &sluice_harness::Response| -> Vec<String> {
        let all = list.json()["streams"].as_array().expect("a list").clone();
        all.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    let all = names(&list);
    assert!(all.len() > 1, "{all:?}");
    assert_eq!(judge.asked().len(), 1 + all.len(), "once about the list and about each: {:?}", judge.asked());
    assert_eq!((&judge.asked()[0]["path"], &judge.asked()[0]["action"]), (&"".into(), &"read".into()));
    assert_eq!(names(&get("/streams.json?key=all")), all);
    assert_eq!(judge.asked().len(), 1 + all.len(), "its answers hold");
    // Who may know of some is told of those, and who may know of none is refused the list; both watch what they may.
    assert_eq!(names(&get("/streams.json?key=list")), ["gate"]);
    assert_eq!(names(&get("/gate/streams.json?key=list")), ["gate"]);
    refused(&get("/streams.json?key=gate"), 401);
    assert_eq!(get("/gate/frame.mp4?key=gate").status, 200);
    refused(&get("/yard/frame.mp4?key=gate"), 401);
}

#[test]
fn a_script_of_a_page_that_says_so_is_not_asked_for_a_password() {
    let judge = Other::start(|_| (401, String::new()));
    let sluice = guarded(&[&format!("access.hook.url={}", judge.url("/auth"))]);
    let list = || Request::get("/streams.json?key=wrong");
    for (request, challenge) in [
        (list().header("X-Requested-With", "fetch"), "Bearer"),
        (list().header("Authorization", "Bearer wrong"), "Bearer"),
        // It may be one that a browser knows the password for, and sends it when it is challenged.
        (list(), "Basic"),
    ] {
        let answer = sluice.request(request);
        let said = answer.header("www-authenticate").expect("a challenge");
        assert!(said.starts_with(challenge), "{said}");
    }
}

#[test]
fn a_token_in_the_address_is_told_as_one_and_stays_in_the_query() {
    let judge =
        Other::start(|question| (if question["token"] == "a key" { 204 } else { 401 }, String::new()));
    let sluice = guarded(&[&format!("access.hook.url={}", judge.url("/auth"))]);
    let join = |query: &str| Request::offer(&format!("/gate/whep?{query}"), OFFER);
    for query in ["token=a%20key", "muted=1&jwt=a+key", "jwt=lock&token=a+key"] {
        let joined = sluice.request(join(query));
        assert_eq!(joined.status, 201, "{query}: {}", joined.text());
        assert_eq!(judge.asked().last().expect("it was asked")["query"], query);
    }
    for request in [
        join("key=a%20key"),
        join("token=lock"),
        // What was sent on purpose comes first.
        join("token=a%20key").header("Authorization", "Bearer lock"),
        named(join("token=a%20key"), "ann", "hunter2"),
    ] {
        refused(&sluice.request(request), 401);
    }
}

#[test]
fn one_that_is_slow_holds_up_nobody_but_those_who_wait_for_it() {
    let judge = Other::start(|question| {
        if question["user"] == "slow" {
            std::thread::sleep(Duration::from_secs(30));
        }
        (200, String::new())
    });
    let sluice = guarded(&[
        &format!("access.hook.url={}", judge.url("/")),
        "access.hook.timeout=3s",
        "access.users.ann.password=hunter2",
        "access.users.ann.read=*",
    ]);
    let join = |name: &str| {
        let began = Instant::now();
        let answer = sluice.request(named(Request::offer("/gate/whep", OFFER), name, "hunter2"));
        (answer, began.elapsed())
    };
    std::thread::scope(|scope| {
        let slow: Vec<_> = (0..8).map(|_| scope.spawn(|| join("slow"))).collect();
        while judge.asked().len() < 8 {
            std::thread::sleep(Duration::from_millis(10));
        }
        // A user of the file, and somebody whom the other server knows at once.
        let (ann, bob) = (join("ann"), join("bob"));
        assert_eq!((ann.0.status, bob.0.status), (201, 201));
        assert!(slow.iter().all(|join| !join.is_finished()), "they wait while others are served");
        for join in slow {
            let (answer, took) = join.join().expect("an answer");
            let said = refused(&answer, 503);
            assert!(answer.header("retry-after").is_some() && took >= Duration::from_secs(3));
            assert!(!said.contains("hook") && !said.contains("3s"), "strangers learn no reason: {said}");
        }
    });
    assert!(sluice.log().contains("access.hook: no answer within 3s"), "{}", sluice.log());
}

#[test]
fn one_that_fails_lets_nobody_in_and_says_why_in_the_log() {
    for status in [500, 300, 429, 408] {
        let judge = Other::start(move |_| (status, String::new()));
        let sluice = guarded(&[&format!("access.hook.url={}", judge.url("/"))]);
        let ask = || sluice.request(named(Request::get("/gate/frame.mp4"), "ann", "hunter2"));
        refused(&ask(), 503);
        refused(&ask(), 503);
        assert_eq!(judge.asked().len(), 2, "a failure is not kept");
        let said = format!("access.hook: it answers with status {status}, which is neither yes nor no");
        assert!(sluice.log().contains(&said), "{}", sluice.log());
        let counted = "sluice_access_decisions_total{action=\"read\",result=\"unavailable\"}";
        assert_eq!(sluice.metric(counted), 2.0);
    }
    let away = guarded(&["access.hook.url=http://127.0.0.1:1/"]);
    refused(&away.request(Request::get("/gate/frame.mp4")), 503);
}

#[test]
fn guesses_are_not_asked_faster_than_passwords_are_looked_at_whatever_carries_them() {
    let judge = Other::start(|question| {
        (
            if question["query"] == "pass=right" || question["token"] == "right" { 200 } else { 401 },
            String::new(),
        )
    });
    for carried in ["query", "token"] {
        let sluice = guarded(&[&format!("access.hook.url={}", judge.url("/"))]);
        let ask = |secret: &str| {
            sluice.request(match carried {
                "query" => Request::get(&format!("/gate/frame.mp4?pass={secret}")),
                _ => Request::get("/gate/frame.mp4").header("Authorization", &format!("Bearer {secret}")),
            })
        };
        let (before, began) = (judge.asked().len(), Instant::now());
        // Whoever is right does not wait for longer than his answer takes, however many of him come.
        std::thread::scope(|scope| {
            let rights: Vec<_> = (0..40).map(|_| scope.spawn(|| ask("right").status)).collect();
            rights.into_iter().for_each(|right| assert_eq!(right.join().expect("an answer"), 200));
        });
        let rights = judge.asked().len() - before;
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let guesses = (0..60).map(|guess| {
                scope.spawn({
                    let ask = &ask;
                    move || ask(&format!("guess{guess}")).status
                })
            });
            let guesses: Vec<_> = guesses.collect();
            guesses.into_iter().map(|guess| guess.join().expect("an answer")).collect()
        });
        let asked = (judge.asked().len() - before - rights) as u64;
        let most = 21 + began.elapsed().as_secs() / 3;
        assert!(asked <= most, "{carried}: {asked} were asked, {most} at the most");
        assert!(statuses.contains(&429) && statuses.iter().all(|status| matches!(status, 401 | 429)));
        assert_eq!(ask("right").status, 200, "it is known");
        let counted = "sluice_access_decisions_total{action=\"read\",result=\"wrong\"}";
        assert_eq!(sluice.metric(counted) as u64, asked, "{carried}");
    }
}

#[test]
fn twenties_are_yes_forties_are_no_and_all_else_is_no_answer() {
    let judge = Other::start(|question| {
        let status = question["user"].as_str().and_then(|status| status.parse().ok()).unwrap_or(500);
        (status, String::new())
    });
    let sluice = guarded(&[&format!("access.hook.url={}", judge.url("/auth"))]);
    for (said, answered) in [
        (200, 201),
        (204, 201),
        (209, 201),
        (210, 503),
        (299, 503),
        (302, 503),
        (400, 401),
        (403, 401),
        (408, 503),
        (409, 401),
        (410, 503),
        (418, 503),
        (429, 503),
        (499, 503),
        (500, 503),
    ] {
        let join = named(Request::offer("/gate/whep", OFFER), &said.to_string(), "x");
        assert_eq!(sluice.request(join).status, answered, "{said}");
    }
    let log = sluice.log();
    assert!(log.contains("who=\"200\"") && !log.contains("who=\"403\""), "who was let in is told: {log}");
}

#[test]
fn what_can_be_no_name_of_a_stream_is_not_asked_about() {
    let judge = Other::start(|_| (200, String::new()));
    let sluice = guarded(&[&format!("access.hook.url={}", judge.url("/auth"))]);
    for path in ["/..%2f../whep", "/%22%7d/whep", "/a%20b/whep", "/a%00/whep"] {
        let answer = sluice.request(Request::offer(path, OFFER));
        let sentence = refused(&answer, 404);
        assert!(sentence.contains("there is no stream named"), "{path}: {sentence}");
    }
    refused(&sluice.request(Request::get("/%22%7d/frame.mp4")), 404);
    assert_eq!(sluice.request(Request::get("/%22%7d/")).status, 404);
    assert_eq!(judge.asked().len(), 0, "{:?}", judge.asked());
    // One that could be is asked about, whether it is there or not.
    refused(&sluice.request(Request::offer("/nonesuch/whep", OFFER)), 404);
    assert_eq!(judge.asked().len(), 1);
}
