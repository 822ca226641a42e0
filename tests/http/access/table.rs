//! Everybody who may come, and what each is answered, as docs/SECURITY.md has it in its table.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sluice_harness::{Request, Sluice};

use super::jwt::{seconds, secret_file, token};
use super::other::Other;
use super::{OFFER, guarded, hash, named};

/// What the document says before and after its rows.
const HEAD: &str = "| who asks to watch | `gate` | `yard` |\n|---|---|---|\n";

/// How somebody says who it is.
enum Says {
    Nothing,
    Basic(&'static str, String),
    Bearer(String),
    /// In the address.
    Query(String),
}

fn claims(streams: &[&str], more: &Value) -> Value {
    let mut claims =
        json!({ "sub": "ann", "aud": "sluice", "exp": seconds(600), "sluice": { "read": streams } });
    for (name, value) in more.as_object().expect("claims") {
        claims[name] = value.clone();
    }
    claims
}

fn status(sluice: &Sluice, from: &str, stream: &str, says: &Says) -> u16 {
    let path = match says {
        Says::Query(token) => format!("/{stream}/whep?token={token}"),
        _ => format!("/{stream}/whep"),
    };
    let offer = Request::offer(&path, OFFER).header("X-Forwarded-For", from);
    let request = match says {
        Says::Nothing | Says::Query(_) => offer,
        Says::Basic(name, password) => named(offer, name, password),
        Says::Bearer(token) => offer.header("Authorization", &format!("Bearer {token}")),
    };
    sluice.request(request).status
}

#[test]
fn everybody_is_answered_as_the_document_says() {
    let judge = Other::start(|question| {
        let status = match question["user"].as_str() {
            Some("dora") if question["path"] == "gate" => 200,
            Some("ill") => 500,
            _ => 403,
        };
        (status, String::new())
    });
    let file = secret_file();
    let sluice = guarded(&[
        "http.trusted_proxies=127.0.0.1",
        "access.read=192.0.2.0/24",
        &format!("access.users.ann.password={}", hash("hunter2")),
        "access.users.ann.read=g*",
        "access.users.kiosk.from=198.51.100.7",
        "access.users.kiosk.read=yard",
        "access.users.bob.from=127.0.0.1",
        "access.users.bob.api=true",
        "access.users.bob.metrics=true",
        &format!("access.jwt.keys={}", file.0.display()),
        "access.jwt.audience=sluice",
        &format!("access.hook.url={}", judge.url("/auth")),
    ]);
    let jwt = |more: Value| token(&claims(&["gate"], &more));
    let unsigned = {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&json!({ "alg": "none", "typ": "JWT" })), part(&claims(&["gate"], &json!({}))))
    };
    let wanted = json!({ "streams": ["gate"], "for": "10m" }).to_string();
    let made = Request::new("POST", "/api/v1/tokens").body(wanted).send(sluice.admin);
    assert_eq!(made.status, 201, "{}", made.text());
    let ours = made.json()["token"].as_str().expect("a token").to_owned();
    let mut changed = ours.clone();
    changed.push('x');
    let password = |text: &str| text.to_owned();
    let elsewhere = "203.0.113.";
    let rows = [
        ("nobody, from anywhere", elsewhere, Says::Nothing),
        ("nobody, from a network of `access.read`", "192.0.2.", Says::Nothing),
        ("the address of a user without a password, who may `yard`", "198.51.100.7", Says::Nothing),
        ("a user who may `g*`", elsewhere, Says::Basic("ann", password("hunter2"))),
        (
            "the same as a player sends it, `Bearer NAME:PASSWORD`",
            elsewhere,
            Says::Bearer("ann:hunter2".to_owned()),
        ),
        ("a user with a wrong password", elsewhere, Says::Basic("ann", password("hunter"))),
        ("a JWT for `gate`", elsewhere, Says::Bearer(jwt(json!({})))),
        ("the same as the password of any name", elsewhere, Says::Basic("anything", jwt(json!({})))),
        ("the same in the address", elsewhere, Says::Query(jwt(json!({})))),
        ("a JWT that is over", elsewhere, Says::Bearer(jwt(json!({ "exp": seconds(-60) })))),
        ("a JWT that has not begun", elsewhere, Says::Bearer(jwt(json!({ "nbf": seconds(600) })))),
        ("a JWT of another service", elsewhere, Says::Bearer(jwt(json!({ "aud": "tv" })))),
        ("a JWT whose signature is another's", elsewhere, Says::Bearer(format!("{}x", jwt(json!({}))))),
        ("a JWT that says `alg: none`", elsewhere, Says::Bearer(unsigned)),
        ("a token of `POST /api/v1/tokens` for `gate`", elsewhere, Says::Bearer(ours.clone())),
        ("the same in the address", elsewhere, Says::Query(ours)),
        ("one that was changed", elsewhere, Says::Query(changed)),
        ("a name that `access.hook` lets watch `gate`", elsewhere, Says::Basic("dora", password("hunter2"))),
        ("a name that it does not know", elsewhere, Says::Basic("eve", password("hunter2"))),
        ("anybody, while it answers 500", elsewhere, Says::Basic("ill", password("hunter2"))),
    ];
    let mut table = HEAD.to_owned();
    for (index, (who, from, says)) in rows.iter().enumerate() {
        // Guesses of one address slow down the next.
        let from = if from.ends_with('.') { format!("{from}{}", index + 1) } else { (*from).to_owned() };
        let [gate, yard] = ["gate", "yard"].map(|stream| status(&sluice, &from, stream, says));
        writeln!(table, "| {who} | {gate} | {yard} |").expect("a text takes all");
    }
    let document = include_str!("../../../docs/SECURITY.md");
    assert!(document.contains(&table), "docs/SECURITY.md has another table than\n{table}");
    let log = sluice.log();
    assert!(!log.contains("hunter") && !log.contains("eyJ"), "nothing secret is in the log: {log}");
}
