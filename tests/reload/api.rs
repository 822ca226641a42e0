//! `POST /api/v1/config/reload`: what SIGHUP does, with an answer.

use serde_json::{Value, json};
use sluice_harness::{Request, Response, Sluice};

use crate::{File, SLUICE, names, streams};

/// Has the configuration read again.
fn reload(sluice: &Sluice) -> Response {
    Request::new("POST", "/api/v1/config/reload").send(sluice.admin)
}

#[test]
fn the_answer_names_what_was_changed_and_what_waits_for_a_restart() {
    let file = File::new(&streams(&[("gate", "demo"), ("yard", "demo")]));
    let sluice = file.serve();
    let mut text = streams(&[("gate", "demo"), ("hall", "rtsp://user:canary@127.0.0.1:1/canary")]);
    text.push_str("[rtsp]\ndata_timeout = \"20s\"\n[srtp]\ncipher = \"ring\"\n");
    file.write(&text);
    let answer = reload(&sluice);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let expected = json!({
        "streams": { "added": ["hall"], "changed": [], "removed": ["yard"] },
        "settings": [{ "key": "rtsp.data_timeout", "before": "10s", "after": "20s" }],
        "restart": [{ "key": "srtp.cipher", "before": "auto", "after": "ring" }],
    });
    assert_eq!(answer.json(), expected);
    // A password that differs is a change that is not shown.
    file.write(&text.replace("user:canary", "user:canary2"));
    let again = reload(&sluice);
    let changed = json!({ "added": [], "changed": ["hall"], "removed": [] });
    assert_eq!(again.json()["streams"], changed);
    assert_eq!((&again.json()["settings"], &again.json()["restart"]), (&json!([]), &expected["restart"]));
    assert!(!sluice.log().contains("canary") && !again.text().contains("canary"));
}

#[test]
fn mistakes_are_told_one_by_one_and_the_old_configuration_stays() {
    let good = streams(&[("gate", "demo")]);
    let file = File::new(&good);
    let sluice = file.serve();
    assert_eq!(sluice.metric("sluice_config_last_reload_successful"), 1.0);
    let started = sluice.metric("sluice_config_last_reload_success_timestamp_seconds");
    assert!(started > 0.0);

    file.write(&format!("{good}[limits]\npendin = 7\n[streams.yard]\nsource = \"gopher://yard/\"\n"));
    let refused = reload(&sluice);
    assert_eq!((refused.status, refused.header("content-type")), (422, Some("application/problem+json")));
    let errors = refused.json()["errors"].as_array().expect("errors").clone();
    let of = |error: &Value, part: &str| error[part].as_str().expect(part).to_owned();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(of(&errors[0], "message").contains("limits.pendin"), "{errors:?}");
    assert!(of(&errors[0], "place").ends_with(".toml:4:1"), "{errors:?}");
    assert!(of(&errors[0], "hint").contains("limits.pending"), "{errors:?}");
    assert!(of(&errors[1], "place").ends_with(".toml:6:10"), "{errors:?}");
    assert_eq!(names(&sluice), ["gate"]);
    assert_eq!(sluice.metric("sluice_config_last_reload_successful"), 0.0);
    assert_eq!(sluice.metric("sluice_config_last_reload_success_timestamp_seconds"), started);
    let told = || Request::get("/api/v1/config").send(sluice.admin).json();
    assert!(
        told()["last_read"]["error"].as_str().is_some_and(|error| error.contains("pendin")),
        "{}",
        told()
    );

    file.write(&good);
    assert_eq!(reload(&sluice).status, 200);
    assert_eq!(sluice.metric("sluice_config_last_reload_successful"), 1.0);
    assert!(sluice.metric("sluice_config_last_reload_success_timestamp_seconds") >= started);
    assert_eq!(told()["last_read"]["error"], Value::Null);
}

#[test]
fn without_a_file_there_is_nothing_to_read_again() {
    let sluice = SLUICE.start(&["gate=demo"]);
    let refused = reload(&sluice);
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("-c FILE"), "{}", refused.text());
    assert_eq!(sluice.metric("sluice_config_last_reload_successful"), 1.0);
}

#[test]
fn a_file_that_was_cut_short_ends_no_stream() {
    let file = File::new(&streams(&[("gate", "demo")]));
    let sluice = file.serve();
    for empty in ["", "# nothing\n", "[streams]\n"] {
        file.write(empty);
        let refused = reload(&sluice);
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(refused.text().contains("no stream any more"), "{}", refused.text());
        assert_eq!(names(&sluice), ["gate"]);
    }
    file.write(&streams(&[("demo", "demo")]));
    assert_eq!(reload(&sluice).status, 200);
    assert_eq!(names(&sluice), ["demo"]);
}
