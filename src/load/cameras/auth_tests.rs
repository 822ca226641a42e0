//! Who gets in, by the client side of another implementation (`http_auth`), and by a vector of the RFC.

use http_auth::{PasswordClient, PasswordParams};
use rtsp_types::{Url, Version};

use super::*;

const URL: &str = "rtsp://127.0.0.1:8554/cam1";

fn guard() -> Guard {
    Guard::new(Some("admin:p:w \"ü\"".parse().expect("credentials")))
}

fn request(method: Method, authorization: Option<&str>) -> Request<Vec<u8>> {
    let url = Url::parse(URL).expect("a URL");
    let mut request = Request::builder(method, Version::V1_0).request_uri(url);
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.build(Vec::new())
}

fn numbers() -> impl FnMut() -> u64 {
    let mut numbers = 7..;
    move || numbers.next().expect("endless")
}

/// The answer of a client to a challenge.
fn respond(challenge: &str, method: &str, user: &str, password: &str) -> String {
    let mut client = PasswordClient::try_from(challenge).expect("a challenge that clients understand");
    let parameters = PasswordParams { username: user, password, uri: URL, method, body: Some(&[]) };
    client.respond(&parameters).expect("an answer")
}

#[test]
fn who_knows_the_password_gets_in_and_nobody_else() {
    let (mut guard, mut random) = (guard(), numbers());
    let challenge = guard.check(&request(Method::Describe, None), &mut random).expect_err("a challenge");
    assert_eq!(
        challenge,
        "Digest realm=\"sluice-cameras\", nonce=\"00000000000000070000000000000008\", stale=FALSE"
    );
    for (method, name) in [(Method::Describe, "DESCRIBE"), (Method::Setup, "SETUP"), (Method::Play, "PLAY")] {
        let answer = respond(&challenge, name, "admin", "p:w \"ü\"");
        assert_eq!(guard.check(&request(method.clone(), Some(&answer)), &mut random), Ok(()), "{answer}");
        for (user, password) in [("admin", "p:w"), ("admin", ""), ("Admin", "p:w \"ü\""), ("", "")] {
            let answer = respond(&challenge, name, user, password);
            let refused = guard.check(&request(method.clone(), Some(&answer)), &mut random);
            assert_eq!(refused.as_ref(), Err(&challenge), "{answer}");
        }
    }
    let of_another_method = respond(&challenge, "PLAY", "admin", "p:w \"ü\"");
    assert!(guard.check(&request(Method::Setup, Some(&of_another_method)), &mut random).is_err());
    assert_eq!(guard.check(&request(Method::Options, None), &mut random), Ok(()));
}

#[test]
fn an_answer_for_another_connection_is_stale() {
    let (mut guard, mut random) = (guard(), numbers());
    let elsewhere = "Digest realm=\"sluice-cameras\", nonce=\"0123456789abcdef\"";
    let answer = respond(elsewhere, "DESCRIBE", "admin", "p:w \"ü\"");
    let challenge = guard.check(&request(Method::Describe, Some(&answer)), &mut random).expect_err("stale");
    assert!(challenge.ends_with("stale=TRUE"), "{challenge}");
    let answer = respond(&challenge, "DESCRIBE", "admin", "p:w \"ü\"");
    assert_eq!(guard.check(&request(Method::Describe, Some(&answer)), &mut random), Ok(()));
}

#[test]
fn what_proves_nothing_is_refused() {
    let (mut guard, mut random) = (guard(), numbers());
    let challenge = guard.check(&request(Method::Describe, None), &mut random).expect_err("a challenge");
    let good = respond(&challenge, "DESCRIBE", "admin", "p:w \"ü\"");
    for header in [
        "",
        "Digest",
        "Digest \"",
        "Basic YWRtaW46cDp3",
        "Digest username=\"admin\", nonce=\"0\"",
        &good.replace("sluice-cameras", "elsewhere"),
        &format!("{good}, algorithm=SHA-256"),
        &format!("{good}, qop=auth, nc=00000001, cnonce=\"0\""),
    ] {
        assert!(guard.check(&request(Method::Describe, Some(header)), &mut random).is_err(), "{header}");
    }
    assert_eq!(guard.check(&request(Method::Describe, Some(&good)), &mut random), Ok(()));
}

#[test]
fn the_digest_is_that_of_the_rfc() {
    // RFC 7616 §3.9.1: H(A1) of its example; then the whole without `qop`, as RFC 2617 §3.2.2.1 has it.
    assert_eq!(
        md5(&["Mufasa", "http-auth@example.org", "Circle of Life"]),
        "3d78807defe7de2157e2b0b6573a855f"
    );
    assert_eq!(md5(&["GET", "/dir/index.html"]), "39aff3a2bab6126f332b942af96d3366");
}

#[test]
fn credentials_are_read_and_never_shown() {
    let credentials: Credentials = "admin:a:b".parse().expect("good");
    assert_eq!((&credentials.user[..], &credentials.password[..]), ("admin", "a:b"));
    assert_eq!(format!("{credentials:?}"), "Credentials");
    for bad in ["admin", ":x", "a\"b:x", "a\\b:x", "jürgen:x"] {
        assert!(bad.parse::<Credentials>().is_err(), "{bad}");
    }
}

#[test]
fn without_credentials_all_get_in() {
    assert_eq!(Guard::new(None).check(&request(Method::Describe, None), &mut numbers()), Ok(()));
}
