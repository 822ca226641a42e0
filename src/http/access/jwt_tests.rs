//! Tokens that are good, and every way in which one is not.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, encode};
use serde_json::json;

use super::*;

/// As long as the hash of HS256.
const SECRET: &[u8; 32] = b"a secret of thirty-two bytes, ok";

/// A key pair for RSA, as PEM.
struct Pair {
    private: String,
    public: String,
}

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}

fn pair() -> Pair {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("PKCS #8");
    let public: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
    Pair { private: pem("PRIVATE KEY", private.as_ref()), public: pem("PUBLIC KEY", public.as_ref()) }
}

impl Pair {
    fn signer(&self) -> EncodingKey {
        EncodingKey::from_rsa_pem(self.private.as_bytes()).expect("a private key")
    }

    /// As a server's set has it.
    fn jwk(&self, id: &str) -> Value {
        let jwk = Jwk::from_encoding_key(&self.signer(), Algorithm::RS256).expect("its public half");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = json!(id);
        jwk
    }
}

fn rules() -> Jwt {
    Jwt { audience: "sluice".to_owned(), issuer: "https://id.lan/".to_owned(), ..Jwt::default() }
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

/// Claims of a good token, changed by `more`: `null` takes one away.
fn claims(more: Value) -> Value {
    let mut claims = json!({
        "sub": "ann", "aud": "sluice", "iss": "https://id.lan/", "exp": now() + 600,
        "sluice": { "read": ["gate", "yard-*"], "publish": ["gate"], "api": true },
    });
    for (name, value) in more.as_object().expect("claims") {
        match value {
            Value::Null => _ = claims.as_object_mut().expect("claims").remove(name),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn signed(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    encode(header, claims, key).expect("a token")
}

#[test]
fn a_token_is_good_only_if_everything_about_it_is() {
    let (ours, other) = (pair(), pair());
    let keys = Keys::of_file(&ours.public, Some(JwtAlgorithm::RS256)).expect("a key");
    let rs256 = Header::new(Algorithm::RS256);
    let good = |more: Value| signed(&rs256, &claims(more), &ours.signer());
    let unsigned = |alg: &str| {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&json!({ "alg": alg, "typ": "JWT" })), part(&claims(json!({}))))
    };
    let swapped = signed(
        &Header::new(Algorithm::HS256),
        &claims(json!({})),
        // The public key as a secret: what a checker that believes the header would take.
        &EncodingKey::from_secret(ours.public.as_bytes()),
    );
    let critical = Header { crit: Some(vec!["b64".to_owned()]), ..Header::new(Algorithm::RS256) };
    let mut changed = good(json!({}));
    changed.replace_range(40..41, if &changed[40..41] == "A" { "B" } else { "A" });
    let wrong = |why: &'static str| Err(why);
    for (case, token, expected) in [
        ("good", good(json!({})), Ok(())),
        ("exp with a fraction", good(json!({ "exp": now() as f64 + 600.5 })), Ok(())),
        ("exp a moment ago, within the leeway", good(json!({ "exp": now() - 10 })), Ok(())),
        ("one of several audiences", good(json!({ "aud": ["tv", "sluice"] })), Ok(())),
        ("nbf that has come", good(json!({ "nbf": now() - 5 })), Ok(())),
        ("expired", good(json!({ "exp": now() - 60 })), wrong("expired")),
        ("exp missing", good(json!({ "exp": null })), wrong("exp")),
        ("exp as a text", good(json!({ "exp": format!("{}", now() + 600) })), wrong("")),
        ("exp below zero", good(json!({ "exp": -1 })), wrong("")),
        ("exp of another type", good(json!({ "exp": [now() + 600] })), wrong("")),
        ("nbf that has not come", good(json!({ "nbf": now() + 600 })), wrong("nbf")),
        ("nbf as a text", good(json!({ "nbf": "0" })), wrong("time")),
        ("aud missing", good(json!({ "aud": null })), wrong("aud")),
        ("aud of another service", good(json!({ "aud": "tv" })), wrong("aud")),
        ("aud of other services", good(json!({ "aud": ["tv", "radio"] })), wrong("aud")),
        ("aud of another type", good(json!({ "aud": 7 })), wrong("aud")),
        ("iss missing", good(json!({ "iss": null })), wrong("iss")),
        ("iss of somebody else", good(json!({ "iss": "https://evil.lan/" })), wrong("iss")),
        ("iss of another type", good(json!({ "iss": 7 })), wrong("iss")),
        ("iss among others", good(json!({ "iss": ["https://evil.lan/", "https://id.lan/"] })), wrong("iss")),
        ("signed by another key", signed(&rs256, &claims(json!({})), &other.signer()), wrong("signature")),
        (
            "another algorithm of the key",
            signed(&Header::new(Algorithm::RS384), &claims(json!({})), &ours.signer()),
            wrong("algorithm"),
        ),
        ("the public key as a secret", swapped, wrong("algorithm")),
        ("alg none", unsigned("none"), wrong("no JWT")),
        ("alg None", unsigned("None"), wrong("no JWT")),
        ("not signed", unsigned("RS256"), wrong("signature")),
        ("changed", changed, wrong("")),
        (
            "something that must be understood",
            signed(&critical, &claims(json!({})), &ours.signer()),
            wrong("understood"),
        ),
        ("no token", "a.b.c".to_owned(), wrong("no JWT")),
        ("nothing", String::new(), wrong("no JWT")),
    ] {
        match (keys.check(&token, &rules(), Action::Read), expected) {
            (Ok(given), Ok(())) => {
                assert_eq!(given.who.as_deref(), Some("ann"), "{case}");
                assert!(given.streams.have(Some("gate")) && !given.streams.have(Some("attic")), "{case}");
            }
            (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{case}: {error}"),
            (checked, _) => panic!("{case}: {checked:?}"),
        }
    }
    let until =
        keys.check(&good(json!({ "exp": 4_000_000_000_u64 })), &rules(), Action::Read).expect("good").until;
    assert_eq!(until, UNIX_EPOCH + Duration::from_secs(4_000_000_000) + LEEWAY);
    let anything = Jwt { audience: String::new(), issuer: String::new(), ..Jwt::default() };
    assert!(keys.check(&good(json!({ "aud": "tv", "iss": null })), &anything, Action::Read).is_ok());
}

#[test]
fn a_claim_gives_what_it_says_in_every_form_that_is_known() {
    use Action::{Api, Metrics, Publish, Read};
    let ours = json!({ "read": ["gate", "yard-*"], "publish": ["gate"], "api": true, "metrics": false });
    let theirs = json!([
        { "action": "read", "path": "gate" },
        { "action": "read", "path": "~^yard-[0-9]$" },
        { "action": "publish", "path": "gate" },
        { "action": "api" },
    ]);
    for claim in
        [ours.clone(), Value::String(ours.to_string()), theirs.clone(), Value::String(theirs.to_string())]
    {
        for (action, stream, may) in [
            (Read, Some("gate"), true),
            (Read, Some("yard-7"), true),
            (Read, Some("attic"), false),
            (Publish, Some("gate"), true),
            (Publish, Some("yard-7"), false),
            (Api, None, true),
            (Metrics, None, false),
        ] {
            assert_eq!(given(&claim, action).have(stream), may, "{claim} {action} {stream:?}");
        }
    }
    let all = json!([{ "action": "read", "path": "" }]);
    assert!(given(&all, Read).have(Some("attic")));
    for nothing in [
        json!(null),
        json!(7),
        json!("gate"),
        json!("\"read\""),
        json!({ "read": "gate" }),
        json!({ "read": true }),
        json!({ "api": ["gate"] }),
        json!([{ "action": "playback", "path": "gate" }, "read", 7]),
        json!([{ "action": "read", "path": ["demo"] }, { "action": "read", "path": 5 }]),
        json!([{ "action": "read", "path": null }, { "action": ["read"], "path": "demo" }]),
        json!([{ "action": "api", "path": {} }]),
        json!({ "read": [7, "a?b", "~("] }),
    ] {
        assert!(!given(&nothing, Read).have(None) && !given(&nothing, Api).have(None), "{nothing}");
    }
}

#[test]
fn a_token_of_another_action_and_one_without_the_claim_give_nothing() {
    let ours = pair();
    let keys = Keys::of_file(&ours.public, Some(JwtAlgorithm::RS256)).expect("a key");
    let token = |more: Value| signed(&Header::new(Algorithm::RS256), &claims(more), &ours.signer());
    let to_watch = token(json!({ "sluice": { "read": ["gate"] } }));
    let given = keys.check(&to_watch, &rules(), Action::Publish).expect("a good token");
    assert!(!given.streams.have(Some("gate")), "to watch is not to send");
    let without =
        keys.check(&token(json!({ "sluice": null })), &rules(), Action::Read).expect("a good token");
    assert!(!without.streams.have(None));
    let other = Jwt { claim: "mediamtx_permissions".to_owned(), ..rules() };
    let theirs = token(json!({ "mediamtx_permissions": [{ "action": "read", "path": "yard" }] }));
    let given = keys.check(&theirs, &other, Action::Read).expect("a good token");
    assert!(given.streams.have(Some("yard")) && !given.streams.have(Some("gate")));
    // It says api; the configuration does not let tokens give that.
    assert!(keys.check(&token(json!({})), &rules(), Action::Api).is_err());
    let may = Jwt { actions: vec![Action::Api], ..rules() };
    assert!(keys.check(&token(json!({})), &may, Action::Api).is_ok_and(|given| given.streams.have(None)));
}

#[test]
fn keys_of_a_set_are_told_by_their_ids_and_pinned_to_their_algorithms() {
    let (first, second) = (pair(), pair());
    let set = json!({ "keys": [
        first.jwk("one"),
        second.jwk("two"),
        { "kty": "RSA", "use": "enc", "kid": "enc", "n": "AQAB", "e": "AQAB" },
        { "kty": "RSA", "alg": "RSA-OAEP", "kid": "wrap", "n": "AQAB", "e": "AQAB" },
        { "kty": "strange", "kid": "x" },
        { "kty": "oct", "kid": "secret", "k": URL_SAFE_NO_PAD.encode(SECRET) },
    ] });
    let keys = Keys::of_set(&set.to_string(), None, false).expect("keys");
    assert_eq!(keys.len(), 2, "what cannot check a signature, and secrets of a server, are passed over");
    let token = |id: Option<&str>, pair: &Pair| {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(Algorithm::RS256) };
        signed(&header, &claims(json!({})), &pair.signer())
    };
    let check = |token: &str| keys.check(token, &rules(), Action::Read).map(|_| ());
    assert_eq!(check(&token(Some("one"), &first)), Ok(()));
    assert_eq!(check(&token(Some("two"), &second)), Ok(()));
    assert_eq!(check(&token(None, &second)), Ok(()), "each of them is tried");
    assert!(check(&token(Some("one"), &second)).is_err());
    assert_eq!(check(&token(Some("three"), &first)), Err(JwtError::UnknownKey));
    // A secret counts where it is read from a file of ours.
    let keys = Keys::of_file(&set.to_string(), None).expect("keys");
    let header = Header { kid: Some("secret".to_owned()), ..Header::new(Algorithm::HS256) };
    let token = signed(&header, &claims(json!({})), &EncodingKey::from_secret(SECRET));
    assert!(keys.check(&token, &rules(), Action::Read).is_ok());
}

fn set_of(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

#[test]
fn a_secret_is_as_long_as_the_hash_that_it_is_for() {
    for (algorithm, least) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        for bytes in [0, 1, least - 1, least] {
            let secret = URL_SAFE_NO_PAD.encode(vec![7; bytes]);
            let set = set_of(&[json!({ "kty": "oct", "k": secret, "alg": algorithm })]);
            let keys = Keys::of_file(&set, None).map(|keys| keys.len());
            match bytes < least {
                false => assert_eq!(keys, Ok(1)),
                true => {
                    let said = keys.expect_err("it can be guessed").to_string();
                    let expected = format!("a secret of {bytes} bytes is too short for {algorithm}");
                    assert!(said.contains(&expected), "{said}");
                }
            }
        }
    }
    // What the algorithm of the key does not say, the configuration may.
    let set = set_of(&[json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET) })]);
    assert!(Keys::of_file(&set, Some(JwtAlgorithm::HS512)).is_err() && Keys::of_file(&set, None).is_ok());
}

#[test]
fn what_holds_no_key_is_refused_in_words() {
    let ours = pair();
    let mut private = ours.jwk("one");
    private["d"] = json!("AQAB");
    for (text, pinned, why) in [
        (ours.public.as_str(), None, "set access.jwt.algorithm"),
        (&ours.public, Some(JwtAlgorithm::ES256), "not one of this key's kind"),
        (&ours.public, Some(JwtAlgorithm::HS256), "not one of this key's kind"),
        ("", None, "neither PEM"),
        ("{}", None, "neither PEM"),
        ("{\"keys\": []}", None, "none of the 0 keys"),
        (&ours.private, Some(JwtAlgorithm::RS256), "a private key"),
        (&set_of(&[private]), None, "a private key"),
        (&set_of(&vec![ours.jwk("one"); KEYS_MAX + 1]), None, "the set has 65 keys, and 64 are taken"),
    ] {
        let said = Keys::of_file(text, pinned).expect_err(why).to_string();
        assert!(said.contains(why), "{said}");
    }
    let secret = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] }).to_string();
    let said = Keys::of_set(&secret, None, false).expect_err("secrets only").to_string();
    assert!(said.contains("taken from files only"), "{said}");
}

#[test]
fn a_key_that_can_check_nothing_is_none_and_keys_are_told_apart() {
    let (one, two) = (pair(), pair());
    let set = |keys: &[Value]| Keys::of_set(&json!({ "keys": keys }).to_string(), None, false);
    let point = URL_SAFE_NO_PAD.encode([7; 32]);
    let broken = |member: &str, value: &str| {
        let mut key = one.jwk("one");
        key[member] = json!(value);
        key
    };
    for key in [
        broken("n", &URL_SAFE_NO_PAD.encode([0xff; 64])),
        broken("n", &URL_SAFE_NO_PAD.encode([0xff; 30_000])),
        broken("e", "AQ"),
        broken("e", "Ag"),
        broken("e", one.jwk("one")["n"].as_str().expect("a text")),
        json!({ "kty": "EC", "crv": "P-256", "x": point, "y": point }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" }),
    ] {
        assert_eq!(set(std::slice::from_ref(&key)).map(|_| ()), Err(KeysError::None(1)), "{key}");
        let both = set(&[key, two.jwk("two")]).expect("one of them is good");
        assert_eq!((both.len(), both.broken()), (1, 1));
    }
    let pinned = Some(JwtAlgorithm::RS256);
    let short = pem(
        "RSA PUBLIC KEY",
        &[&[0x30, 0x48, 0x02, 0x41, 0x00][..], &[0xff; 64], &[0x02, 0x03, 1, 0, 1]].concat(),
    );
    assert_eq!(Keys::of_file(&short, pinned).map(|_| ()), Err(KeysError::Unusable));
    assert_eq!(Keys::of_file(&one.public, pinned).map(|keys| keys.len()), Ok(1));

    let (first, both) = (set(&[one.jwk("one")]), set(&[one.jwk("another name"), two.jwk("two")]));
    let (first, both) = (first.expect("a key"), both.expect("keys"));
    assert_eq!((first.beside(&both), both.beside(&first)), (0, 1), "a name makes no other key");
}

#[test]
fn a_claim_that_is_there_twice_is_none() {
    let keys = Keys::of_set(
        &json!({ "keys": [{ "kty": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(SECRET) }] })
            .to_string(),
        None,
        true,
    );
    let keys = keys.expect("a secret");
    let signed = |claims: &str| {
        let said =
            format!("{}.{}", URL_SAFE_NO_PAD.encode("{\"alg\":\"HS256\"}"), URL_SAFE_NO_PAD.encode(claims));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
        let tag = aws_lc_rs::hmac::sign(&key, said.as_bytes());
        format!("{said}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let text = claims(json!({})).to_string();
    let twice = text.replacen('{', "{\"sluice\":{\"read\":[\"*\"]},", 1);
    let check = |text: &str| keys.check(&signed(text), &rules(), Action::Read).map(|given| given.who);
    assert_eq!(check(&text), Ok(Some("ann".to_owned())));
    assert_eq!(check(&twice), Err(JwtError::Wrong("it cannot be read")));
}
