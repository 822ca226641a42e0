//! Tokens that somebody else signed.
#![expect(clippy::disallowed_methods, reason = "tokens end at a time of the calendar")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use sluice_harness::{Request, Sluice, wait_for};

use super::other::Other;
use super::{OFFER, guarded, named};
use crate::refused;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

/// A file that goes with the test.
pub(super) struct File(pub(super) PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A set of one secret, in a file.
pub(super) fn secret_file() -> File {
    let file = std::env::temp_dir().join(format!("sluice-jwks-{}.json", rand::random::<u64>()));
    let set = json!({ "keys": [{ "kty": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(SECRET) }] });
    std::fs::write(&file, set.to_string()).expect("a file");
    File(file)
}

/// The seconds since 1970, so many later.
pub(super) fn seconds(later: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(now).expect("before the end of time") + later
}

fn claims(exp: i64) -> Value {
    json!({ "sub": "ann@tv", "aud": "sluice", "exp": exp, "sluice": { "read": ["gate"], "api": true } })
}

pub(super) fn token(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET)).expect("a token")
}

#[test]
fn its_bearer_may_what_it_says_until_it_ends() {
    let file = secret_file();
    let keys = format!("access.jwt.keys={}", file.0.display());
    let sluice = guarded(&[&keys, "access.jwt.audience=sluice"]);
    let join = |stream: &str, token: &str| {
        let offer = Request::offer(&format!("/{stream}/whep"), OFFER);
        sluice.request(offer.header("Authorization", &format!("Bearer {token}")))
    };
    let good = token(&claims(seconds(600)));
    let joined = join("gate", &good);
    assert_eq!(joined.status, 201, "{}", joined.text());
    let as_password = sluice.request(named(Request::offer("/gate/whep", OFFER), "anything", &good));
    assert_eq!(as_password.status, 201, "{}", as_password.text());
    assert_eq!(join("yard", &good).status, 403);
    // In an address it would be in every log on the way.
    for name in ["token", "jwt"] {
        assert_eq!(
            sluice.request(Request::get(&format!("/gate/frame.mp4?{name}={good}"))).status,
            401,
            "{name}"
        );
        let offer = Request::offer(&format!("/gate/whep?{name}={good}"), OFFER);
        assert_eq!(sluice.request(offer).status, 401, "{name}");
    }
    for (case, wrong) in [
        (
            "of another service",
            token(&json!({ "aud": "tv", "exp": seconds(600), "sluice": { "read": ["*"] } })),
        ),
        ("without an end", token(&json!({ "aud": "sluice", "sluice": { "read": ["*"] } }))),
        ("over", token(&claims(seconds(-60)))),
        ("of nobody", format!("{}x", token(&claims(seconds(600))))),
    ] {
        let answer = join("gate", &wrong);
        let said = refused(&answer, 401);
        assert_eq!(said.contains("expired"), case == "over", "{case}: {said}");
        let challenge = answer.header("www-authenticate").expect("what could be sent");
        assert!(
            challenge.starts_with("Bearer"),
            "no window of the browser over a page with a token: {challenge}"
        );
    }
    // It says api, and the admin listener is open as nobody is named for it: access.jwt.actions has only the others.
    assert_eq!(Request::get("/api/v1/sessions").send(sluice.admin).status, 200);
    // One that is over already, but for the leeway: its viewer ends with it, and no other.
    let leeway = 30;
    let short = join("gate", &token(&claims(seconds(3 - leeway))));
    assert_eq!(short.status, 201, "{}", short.text());
    let ends = "sluice_viewer_ends_total{reason=\"access_expired\"}";
    sluice.wait_for_metric(ends, "is 1", |ended| ended == 1.0);
    assert_eq!(sluice.metric("sluice_sessions"), 2.0);
    let log = sluice.log();
    assert!(log.contains("ann@tv") && !log.contains(&good) && !log.contains("eyJ"), "{log}");
}

/// A key pair that signs with its id.
struct Signer(String, EncodingKey);

impl Signer {
    fn new(id: &str) -> Signer {
        use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
        use base64::engine::general_purpose::STANDARD;
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS #8");
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        Signer(id.to_owned(), EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a private key"))
    }

    fn public(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.1, Algorithm::RS256).expect("its public half");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = json!(self.0);
        jwk
    }

    fn token(&self) -> String {
        let header = Header { kid: Some(self.0.clone()), ..Header::new(Algorithm::RS256) };
        encode(&header, &claims(seconds(600)), &self.1).expect("a token")
    }
}

#[test]
fn keys_of_a_server_are_read_again_for_a_key_that_nobody_knows_and_kept_when_it_fails() {
    let (first, second, strange) = (Signer::new("one"), Signer::new("two"), Signer::new("three"));
    let set = Arc::new(Mutex::new((200, json!({ "keys": [first.public()] }).to_string())));
    let answers = set.clone();
    let server = Other::start(move |_| answers.lock().expect("the set").clone());
    let sluice =
        guarded(&[&format!("access.jwt.keys={}", server.url("/jwks.json")), "access.jwt.audience=sluice"]);
    let join = |signer: &Signer| {
        let offer = Request::offer("/gate/whep", OFFER);
        sluice.request(offer.header("Authorization", &format!("Bearer {}", signer.token()))).status
    };
    assert_eq!(join(&first), 201);
    let before = server.asked().len();
    assert_eq!(join(&first), 201);
    assert_eq!(server.asked().len(), before, "who is signed by a known key asks nobody");
    // The issuer has a new key, and the old one still signs.
    *set.lock().expect("the set") = (200, json!({ "keys": [first.public(), second.public()] }).to_string());
    wait_for("the new key", || (join(&second) == 201).then_some(()));
    assert_eq!(join(&first), 201);
    let before = server.asked().len();
    for _ in 0..3 {
        assert_eq!(join(&strange), 401);
    }
    assert!(server.asked().len() <= before + 3, "strangers have it asked now and then, not each time");
    *set.lock().expect("the set") = (500, String::new());
    assert_eq!(join(&strange), 401);
    assert_eq!((join(&first), join(&second)), (201, 201), "what there is stays");
    wait_for("the trouble", || sluice.log().contains("answers with status 500").then_some(()));
}

/// A file of keys that are `keys`, and a server that reads it.
fn with_keys(keys: &[Value]) -> (File, Sluice) {
    let file = File(std::env::temp_dir().join(format!("sluice-set-{}.json", rand::random::<u64>())));
    std::fs::write(&file.0, json!({ "keys": keys }).to_string()).expect("a file");
    let sluice = guarded(&[
        &format!("access.jwt.keys={}", file.0.display()),
        "access.jwt.audience=sluice",
        "limits.setup_timeout=60s",
    ]);
    (file, sluice)
}

#[test]
fn whoever_watches_by_a_key_that_is_taken_away_is_ended_and_nobody_else() {
    let (first, second) = (Signer::new("one"), Signer::new("two"));
    let (file, sluice) = with_keys(&[first.public(), second.public()]);
    let join = |signer: &Signer| {
        let offer = Request::offer("/gate/whep", OFFER);
        sluice.request(offer.header("Authorization", &format!("Bearer {}", signer.token()))).status
    };
    assert_eq!((join(&first), join(&second)), (201, 201));
    // It can check nothing, so that nothing is taken over.
    let mut broken = second.public();
    broken["e"] = json!("AQ");
    std::fs::write(&file.0, json!({ "keys": [broken] }).to_string()).expect("a file");
    let said = "none of the 1 keys in the set can check a signature; going on with the keys";
    wait_for("the warning", || {
        // A key that nobody knows has it looked at.
        join(&Signer::new("three"));
        sluice.log().contains(said).then_some(())
    });
    assert_eq!(join(&second), 201);
    let ends = "sluice_viewer_ends_total{reason=\"access_revoked\"}";
    assert_eq!((sluice.metric(ends), sluice.metric("sluice_sessions")), (0.0, 3.0));
    std::fs::write(&file.0, json!({ "keys": [second.public()] }).to_string()).expect("a file");
    sluice.wait_for_metric(ends, "is 1", |ended| ended == 1.0);
    assert_eq!((join(&first), join(&second)), (401, 201));
    assert!(sluice.log().contains("there are others now"), "{}", sluice.log());
    assert_eq!(sluice.metric(ends), 1.0, "who watches by the other key goes on");
}

#[test]
fn without_keys_nobody_comes_in_and_the_log_says_why() {
    let server = Other::start(|_| (200, "{}".to_owned()));
    let sluice = guarded(&[&format!("access.jwt.keys={}", server.url("/"))]);
    let answer = sluice.request(
        Request::get("/gate/frame.mp4")
            .header("Authorization", &format!("Bearer {}", Signer::new("one").token())),
    );
    refused(&answer, 503);
    assert!(
        sluice.log().contains("neither PEM of one public key nor a JSON Web Key Set"),
        "{}",
        sluice.log()
    );
}
