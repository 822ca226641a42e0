//! TLS on the listeners: certificates that are good, renewed, and wrong; and who comes without it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice_harness::authority::{Authority, Pair, PairFiles};
use sluice_harness::{PATIENCE, Request, Sluice, wait_for};

use crate::{SLUICE, refused};

const HERE: [&str; 2] = ["127.0.0.1", "localhost"];

/// Starts a server with these files on its public listener.
fn secured(files: &PairFiles, more: &[&str]) -> Sluice {
    let arguments = files.arguments("http");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let sluice = SLUICE.start(&arguments);
    sluice.wait_until_playing("demo");
    sluice
}

/// What `sluice check` says of such a pair, and its exit code.
fn checked(pair: &Pair) -> (Option<i32>, String) {
    let files = PairFiles::new(pair);
    let config = files.path("config");
    let lines = ["certificate", "key"].map(|which| format!("{which} = {:?}\n", files.path(which)));
    std::fs::write(&config, format!("[http.tls]\n{}", lines.concat())).expect("a file");
    let output = SLUICE.command().arg("check").arg(&config).output().expect("the binary runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Tag, what is in it, and what follows, of DER (X.690 §8.1).
fn der(bytes: &[u8]) -> (u8, &[u8], &[u8]) {
    let (length, begin) = match bytes[1] {
        short @ ..0x80 => (usize::from(short), 2),
        long => {
            let count = usize::from(long & 0x7f);
            let digits = bytes[2..2 + count].iter();
            (digits.fold(0, |length, byte| length << 8 | usize::from(*byte)), 2 + count)
        }
    };
    (bytes[0], &bytes[begin..begin + length], &bytes[begin + length..])
}

fn sequence(inside: &[u8]) -> Vec<u8> {
    let length = u16::try_from(inside.len()).expect("a short one").to_be_bytes();
    // As short as it goes.
    let head = match length {
        [0, short @ ..0x80] => vec![0x30, short],
        [0, long] => vec![0x30, 0x81, long],
        [high, low] => vec![0x30, 0x82, high, low],
    };
    [&head[..], inside].concat()
}

/// The same as X.509 had it first: without a version and without extensions. Nobody looks at the signature here.
fn of_version_1(pair: &Pair) -> Pair {
    let base64: String = pair.certificate.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = STANDARD.decode(base64).expect("PEM");
    let (_, certificate, _) = der(&bytes);
    let (_, mut body, signed) = der(certificate);
    let mut parts = Vec::new();
    while !body.is_empty() {
        let (tag, _, rest) = der(body);
        // The version is [0] in it, and extensions are [3] (RFC 5280 §4.1).
        if !matches!(tag, 0xa0 | 0xa3) {
            parts.extend_from_slice(&body[..body.len() - rest.len()]);
        }
        body = rest;
    }
    let certificate = sequence(&[sequence(&parts), signed.to_vec()].concat());
    let certificate = STANDARD.encode(certificate);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n");
    Pair { certificate: pem, key: pair.key.clone() }
}

#[test]
fn both_listeners_speak_tls_with_certificates_of_their_own() {
    let authority = Authority::default();
    let (public, private) =
        (PairFiles::new(&authority.pair(&HERE)), PairFiles::new(&authority.pair(&["127.0.0.1"])));
    let arguments = [public.arguments("http"), private.arguments("admin")].concat();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let sluice = SLUICE.start(&arguments);
    let metric = |name: &str| {
        let text = authority.request(sluice.admin, &Request::get("/metrics")).text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse::<f64>().expect("a number")
    };
    wait_for("the demo", || (metric("sluice_stream_up{stream=\"demo\"}") == 1.0).then_some(()));
    let page = authority.request(sluice.http, &Request::get("/demo/"));
    assert_eq!(page.status, 200);
    assert_eq!(page.header("strict-transport-security"), None, "nobody asked for it");
    assert_ne!(authority.shown(sluice.http), authority.shown(sluice.admin));
    assert!(Authority::default().connect(sluice.http).is_err(), "whoever trusts somebody else");
    let expires = metric("sluice_tls_certificate_expiry_timestamp_seconds{listener=\"public\"}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let days = (expires - now.as_secs_f64()) / 86_400.0;
    assert!((364.0..366.0).contains(&days), "{days}");
    assert!(metric("sluice_tls_handshakes_total{listener=\"public\",result=\"good\"}") >= 2.0);
    assert_eq!(metric("sluice_tls_handshakes_total{listener=\"public\",result=\"failed\"}"), 1.0);
}

#[test]
fn browsers_are_asked_to_come_back_by_https_if_that_is_configured() {
    let authority = Authority::default();
    let files = PairFiles::new(&authority.pair(&HERE));
    let sluice = secured(&files, &["--set", "http.hsts=1h"]);
    for path in ["/", "/demo/whep", "/none"] {
        let answer = authority.request(sluice.http, &Request::get(path));
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=3600"), "{path}");
    }
    // It means nothing over plain HTTP (RFC 6797 §7.2).
    assert_eq!(sluice.request(Request::get("/")).header("strict-transport-security"), None);
}

#[test]
fn who_speaks_plain_http_is_led_to_https_or_told() {
    let authority = Authority::default();
    let files = PairFiles::new(&authority.pair(&HERE));
    let sluice = secured(&files, &[]);
    let page = sluice.request(Request::get("/demo/?muted=0"));
    let detail = refused(&page, 307);
    let https = format!("https://{}/demo/?muted=0", sluice.http);
    assert_eq!(page.header("location"), Some(&https[..]));
    assert!(detail.contains("this port speaks HTTPS") && detail.contains(&https), "{detail}");
    let offer = sluice.request(Request::offer("/demo/whep", "v=0"));
    assert_eq!(offer.header("location"), None);
    assert!(refused(&offer, 400).contains("this port speaks HTTPS"), "{}", offer.text());
    // A host that is none leads nowhere.
    let mut odd = TcpStream::connect(sluice.http).expect("a connection");
    odd.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    odd.write_all(b"GET / HTTP/1.1\r\nHost: me@evil.example\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut said = String::new();
    odd.read_to_string(&mut said).expect("an answer");
    assert!(said.starts_with("HTTP/1.1 400 ") && !said.contains("evil"), "{said}");
    assert_eq!(sluice.metric("sluice_tls_handshakes_total{listener=\"public\",result=\"plain\"}"), 3.0);
}

#[test]
fn a_handshake_that_does_not_end_is_cut_off() {
    let authority = Authority::default();
    let files = PairFiles::new(&authority.pair(&HERE));
    let sluice = secured(&files, &["--set", "http.header_timeout=2s"]);
    // Nothing at all, the first byte of a record, and one that says that much is to come.
    for begin in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut client = TcpStream::connect(sluice.http).expect("a connection");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        client.write_all(begin).expect("it reads");
        let mut said = Vec::new();
        client.read_to_end(&mut said).expect("the end of it");
        assert_eq!(said, b"", "{begin:?}");
    }
    sluice.wait_for_metric(
        "sluice_tls_handshakes_total{listener=\"public\",result=\"late\"}",
        "is 3",
        |late| late == 3.0,
    );
    // What is no TLS at all fails at once, and a whole handshake is not hurried.
    let mut client = TcpStream::connect(sluice.http).expect("a connection");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.write_all(&[0x16; 64]).expect("it reads");
    let _ = client.read_to_end(&mut Vec::new());
    assert_eq!(sluice.metric("sluice_tls_handshakes_total{listener=\"public\",result=\"failed\"}"), 1.0);
    assert_eq!(authority.request(sluice.http, &Request::get("/demo/whep")).status, 204);
}

#[test]
fn a_new_certificate_is_shown_to_those_who_come_and_cuts_nobody_off() {
    let authority = Authority::default();
    let files = PairFiles::new(&authority.pair_of_days(&HERE, (80, 10)));
    let sluice = secured(&files, &["--set", "http.header_timeout=1m"]);
    wait_for("the notice", || sluice.log().contains("the certificate expires in 239 hours").then_some(()));
    let old = authority.shown(sluice.http);
    let mut kept = authority.connect(sluice.http).expect("a connection");
    let mut ask = move || {
        kept.write_all(b"GET /demo/whep HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is open");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            kept.read_exact(&mut byte).expect("an answer");
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 204 "), "{}", String::from_utf8_lossy(&head));
    };
    ask();
    let renewed = authority.pair(&HERE);
    // As tools write them: one file after the other.
    std::fs::write(files.path("certificate"), &renewed.certificate).expect("a file");
    assert_eq!(authority.shown(sluice.http), old, "half a pair is none");
    std::fs::write(files.path("key"), &renewed.key).expect("a file");
    wait_for("the new certificate", || (authority.shown(sluice.http) != old).then_some(()));
    ask();
    assert!(
        sluice.log().contains("a new certificate is shown: for localhost, valid until "),
        "{}",
        sluice.log()
    );
    assert!(!sluice.log().contains("stays as it was"), "{}", sluice.log());
}

#[test]
fn what_is_wrong_in_a_new_pair_is_said_once_and_the_old_one_stays() {
    let authority = Authority::default();
    let files = PairFiles::new(&authority.pair(&HERE));
    let sluice = secured(&files, &[]);
    let old = authority.shown(sluice.http);
    let expired = authority.pair_of_days(&HERE, (90, -1));
    let early = authority.pair_of_days(&HERE, (-5, 49));
    let mixed = Pair { key: authority.pair(&HERE).key, ..authority.pair(&HERE) };
    let said = |what: &str| sluice.log().matches(what).count();
    let refusals = "sluice_tls_certificates_refused_total{listener=\"public\"}";
    for (number, (pair, what)) in [
        (expired, "the certificate expired on "),
        (early, "the certificate is not valid before "),
        (mixed, "does not belong to the first certificate"),
    ]
    .into_iter()
    .enumerate()
    {
        files.write(&pair);
        sluice.wait_for_metric(refusals, "grows", |refused| refused == number as f64 + 1.0);
        wait_for("the reason", || (said(what) == 1).then_some(()));
        assert!(said(&format!("{:?}", files.path("certificate"))) > 0, "{}", sluice.log());
        assert_eq!(authority.shown(sluice.http), old);
    }
    // Another look finds the same, and says nothing more.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(sluice.metric(refusals), 3.0);
    files.write(&authority.pair(&HERE));
    wait_for("the new certificate", || (authority.shown(sluice.http) != old).then_some(()));
}

#[test]
fn a_hangup_has_the_files_looked_at() {
    let authority = Authority::default();
    let files = PairFiles::new(&authority.pair(&HERE));
    let config = files.path("config");
    std::fs::write(&config, "").expect("a file");
    let sluice = secured(&files, &["-c", config.to_str().expect("a path")]);
    std::fs::remove_file(files.path("key")).expect("it is there");
    sluice.signal("HUP");
    // At once, and not when it was seen twice.
    wait_for("the reason", || sluice.log().contains("key.pem\": it cannot be read").then_some(()));
    assert_eq!(authority.request(sluice.http, &Request::get("/demo/whep")).status, 204);
}

#[test]
fn check_and_start_say_what_is_wrong_with_a_pair() {
    let authority = Authority::default();
    let good = authority.pair(&["cams.example.com", "*.example.com"]);
    let (code, said) = checked(&good);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("certificate.pem\": a certificate for cams.example.com, valid until "), "{said}");
    let with = |certificate: &str, key: &str| Pair { certificate: certificate.into(), key: key.into() };
    let cut = |text: &str| text[..text.len() / 2].to_owned();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (pair, expected) in [
        (authority.pair_of_days(&HERE, (90, -1)), "the certificate expired on "),
        (authority.pair_of_days(&HERE, (-5, 49)), "the certificate is not valid before "),
        (of_version_1(&good), "certificate is of X.509 version 1"),
        (with(&good.certificate, &authority.pair(&HERE).key), "does not belong to the first certificate in "),
        (with(&good.key, &good.certificate), "certificate and key are exchanged"),
        (with(&good.certificate, &good.certificate), "certificate and key are exchanged"),
        (with("", &good.key), "it is empty"),
        (with("hello\n", &good.key), "there is no certificate in it"),
        (with(&good.certificate, "hello\n"), "there is no key in it"),
        (with(&good.certificate, encrypted), "take that off with `openssl pkey`"),
        (with(&cut(&good.certificate), &good.key), "the file is not whole"),
        (with(&good.certificate, &cut(&good.key)), "the file is not whole"),
    ] {
        let (code, said) = checked(&pair);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("http.tls.") && said.contains(".pem\"") && said.contains(expected), "{said}");
        let secret = pair.key.lines().nth(1).filter(|line| line.len() > 20);
        assert!(secret.is_none_or(|secret| !said.contains(secret)), "{said}");
    }
    // A start has nothing better, and its clock may be wrong.
    let early = PairFiles::new(&authority.pair_of_days(&HERE, (-5, 49)));
    let sluice = secured(&early, &[]);
    wait_for("the warning", || sluice.log().contains("the certificate is not valid before ").then_some(()));
    let files = PairFiles::new(&good);
    std::fs::remove_file(files.path("certificate")).expect("it is there");
    let output = SLUICE.command().args(files.arguments("admin")).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("sluice: admin.tls.certificate = ") && said.contains("check the path"), "{said}");
}
