use http_auth::{DigestClient, PasswordParams};

use super::super::message::read_head;
use super::*;

const URI: &str = "rtsp://10.0.0.9/cam?x=1";

fn login() -> Option<Credentials> {
    Some(Credentials { username: "ad\"min".into(), password: "p@ss:w\u{f6}rd".into() })
}

fn headers(challenges: &[&str]) -> Headers {
    let lines: String = challenges.iter().map(|value| format!("WWW-Authenticate: {value}\r\n")).collect();
    read_head(format!("RTSP/1.0 401 Unauthorized\r\n{lines}\r\n").as_bytes()).headers
}

fn digest(nonce: &str, more: &str) -> String {
    format!("Digest realm=\"IP Camera(C1214)\", nonce=\"{nonce}\"{more}")
}

/// A camera and the request that it keeps refusing.
struct Talk {
    auth: Authenticator,
    sent: Sent,
}

impl Talk {
    fn new() -> Talk {
        Talk { auth: Authenticator::new(login(), 7), sent: Sent::default() }
    }

    /// Another request.
    fn ask(&mut self) -> Option<String> {
        self.sent = Sent::default();
        self.again()
    }

    /// The same request again.
    fn again(&mut self) -> Option<String> {
        let value = self.auth.authorize(Method::Describe, URI, &mut self.sent);
        value.map(|value| String::from_utf8(value).expect("text"))
    }

    fn refused(&mut self, challenges: &[&str]) -> Verdict {
        self.auth.handle_refusal(&headers(challenges), &mut self.sent)
    }
}

fn parameter(value: &str, name: &str) -> Option<String> {
    let found = read_challenges(value.as_bytes()).swap_remove(0);
    found.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
}

/// `http-auth`, by which retina answers, gives the same answers.
#[test]
fn digests_are_those_of_another_implementation() {
    for more in [
        "",
        ", stale=\"FALSE\"",
        ", algorithm=MD5, opaque=\"5c\\\"cc\"",
        ", algorithm=MD5-sess, qop=\"auth\"",
        ", qop=\"auth,auth-int\", algorithm=SHA-256, opaque=\"5ccc\"",
        ", qop=\"auth-int\"",
        ", qop=\"auth\", algorithm=SHA-256-sess",
        ", qop=\"auth\", algorithm=SHA-512-256",
    ] {
        let challenge = digest("a0f811", more);
        let mut talk = Talk::new();
        assert_eq!(talk.ask(), None);
        assert_eq!(talk.refused(&[&challenge]), Verdict::Again, "{more}");
        for _ in 0..2 {
            let ours = talk.again().expect("a challenge is in force");
            let login = login().expect("there is one");
            let parameters = PasswordParams {
                username: &login.username,
                password: login.password.expose(),
                uri: URI,
                method: "DESCRIBE",
                // Of an empty body, which they hash no further.
                body: (!more.contains("auth,")).then_some(&b"d41d8cd98f00b204e9800998ecf8427e"[..]),
            };
            let parsed = http_auth::parse_challenges(&challenge).expect("it is well-formed").swap_remove(0);
            let mut client = DigestClient::try_from(&parsed).expect("it is known");
            let count =
                parameter(&ours, "nc").map_or(1, |count| u32::from_str_radix(&count, 16).expect("hex"));
            let cnonce = parameter(&ours, "cnonce").unwrap_or_default();
            let theirs = (0..count).map(|_| client.respond_with_testing_cnonce(&parameters, &cnonce));
            let theirs = theirs.last().expect("one at least").expect("an answer");
            for name in ["response", "username", "realm", "nonce", "uri", "opaque", "qop", "nc"] {
                assert_eq!(parameter(&ours, name), parameter(&theirs, name), "{name} of {more}");
            }
        }
    }
}

#[test]
fn digest_is_taken_before_basic_and_the_better_hash_before_the_other() {
    let basic = "Basic realm=\"IP Camera(C1214)\"";
    let (md5, sha) = (digest("1", ""), digest("2", ", algorithm=SHA-256"));
    for challenges in
        [&[basic, &*md5][..], &[&*md5, basic], &[&*format!("{basic}, {md5}")], &["Negotiate", &*md5]]
    {
        let mut talk = Talk::new();
        assert_eq!(talk.refused(challenges), Verdict::Again, "{challenges:?}");
        assert!(talk.again().is_some_and(|value| value.starts_with("Digest ")), "{challenges:?}");
    }
    for challenges in [[&*md5, &*sha], [&*sha, &*md5]] {
        let mut talk = Talk::new();
        assert_eq!(talk.refused(&challenges), Verdict::Again);
        assert_eq!(talk.again().and_then(|value| parameter(&value, "nonce")).as_deref(), Some("2"));
    }
}

/// Cameras that offer SHA-256 and check by MD5.
#[test]
fn the_weaker_hash_is_tried_once_where_the_better_is_refused() {
    let sha = digest("n1", ", algorithm=SHA-256, qop=\"auth\"");
    let (both, later) = ([&sha[..], &digest("n1", "")], digest("n2", ", algorithm=SHA-256, qop=\"auth\""));
    let mut talk = Talk::new();
    talk.ask();
    assert_eq!(talk.refused(&both), Verdict::Again);
    assert!(talk.again().expect("SHA-256").contains("algorithm=SHA-256"));
    assert_eq!(talk.refused(&both), Verdict::Again);
    assert!(!talk.again().expect("MD5").contains("SHA-256"));
    assert_eq!(talk.auth.asked(), SignIn::Digest("MD5"));
    // It was that: the next request has it, and a fresh challenge is answered by it.
    assert!(!talk.ask().expect("MD5").contains("SHA-256"));
    assert_eq!(talk.refused(&[&later, &digest("n2", "")]), Verdict::Again);
    assert!(!talk.again().expect("MD5").contains("SHA-256"));
    // It was not: the password is wrong, and no third one is tried.
    let mut talk = Talk::new();
    talk.ask();
    for verdict in [Verdict::Again, Verdict::Again, Verdict::Wrong] {
        assert_eq!(talk.refused(&both), verdict);
        talk.again();
    }
}

#[test]
fn a_bare_backslash_in_a_realm_is_one_and_hides_no_nonce() {
    for challenge in [
        r#"Digest realm="IPCAM\", nonce="abc123", algorithm="MD5""#.to_owned(),
        r#"Digest realm="IPCAM\\", nonce="abc123""#.to_owned(),
    ] {
        let mut talk = Talk::new();
        talk.ask();
        assert_eq!(talk.refused(&[&challenge]), Verdict::Again, "{challenge}");
        let answer = talk.again().expect("an answer");
        assert_eq!(parameter(&answer, "realm").as_deref(), Some(r"IPCAM\"), "{answer}");
        assert_eq!(parameter(&answer, "nonce").as_deref(), Some("abc123"), "{answer}");
    }
    // Inside it, too, a backslash before a letter is one.
    for challenge in
        [r#"Digest realm="CORP\Cam", nonce="abc123""#, r#"Digest realm="CORP\\Cam", nonce="abc123""#]
    {
        let mut talk = Talk::new();
        talk.ask();
        assert_eq!(talk.refused(&[challenge]), Verdict::Again, "{challenge}");
        let answer = talk.again().expect("an answer");
        assert_eq!(parameter(&answer, "realm").as_deref(), Some(r"CORP\Cam"), "{answer}");
    }
    // A quote in it stays one.
    let mut talk = Talk::new();
    talk.ask();
    talk.refused(&[r#"Digest realm="a\", b", nonce="abc123""#]);
    assert_eq!(parameter(&talk.again().expect("an answer"), "realm").as_deref(), Some(r#"a", b"#));
    // What cannot be read is not shown.
    assert_eq!(talk.refused(&["Secret123nonce x"]), Verdict::Wrong);
    let mut talk = Talk::new();
    talk.ask();
    assert_eq!(talk.refused(&["Secret123nonce x"]), Verdict::Unknown("something x".into()));
}

#[test]
fn basic_is_sent_when_asked_for_and_not_before() {
    let mut talk = Talk::new();
    assert_eq!(talk.ask(), None);
    assert_eq!(talk.refused(&["Basic realm=x"]), Verdict::Again);
    let value = talk.again().expect("it was asked for");
    assert_eq!(value, format!("Basic {}", STANDARD.encode("ad\"min:p@ss:w\u{f6}rd")));
    assert!(talk.ask().is_some(), "on the same connection it goes on");
    talk.auth.renew();
    assert_eq!(talk.ask(), None, "another attempt waits to be asked");
}

/// Somebody on the way, or a fault, asks for the password in clear.
#[test]
fn a_camera_that_took_digest_gets_no_password_in_clear() {
    let mut talk = Talk::new();
    assert_eq!(talk.refused(&[&digest("1", "")]), Verdict::Again);
    talk.auth.renew();
    talk.ask();
    assert_eq!(talk.refused(&["Basic realm=\"x\""]), Verdict::Downgrade);
    assert!(talk.ask().is_some_and(|value| value.starts_with("Digest ")));
}

#[test]
fn each_new_nonce_is_answered_and_one_that_was_refused_is_not() {
    let mut talk = Talk::new();
    assert_eq!(talk.refused(&[&digest("1", "")]), Verdict::Again);
    talk.again();
    assert_eq!(talk.refused(&[&digest("1", "")]), Verdict::Wrong);

    // A nonce for each request: never wrong.
    let mut talk = Talk::new();
    for number in 0..100 {
        talk.ask();
        assert_eq!(talk.refused(&[&digest(&format!("n{number}"), "")]), Verdict::Again);
        assert_eq!(talk.again().and_then(|value| parameter(&value, "nonce")), Some(format!("n{number}")));
    }

    // The same request refused with one new nonce after another: a wrong password, or at last a clock.
    for (more, verdict, answers) in [("", Verdict::Wrong, 2), (", stale=true", Verdict::Expired, 4)] {
        let mut talk = Talk::new();
        let mut answered = 0;
        let last = loop {
            match talk.refused(&[&digest(&format!("n{answered}"), more)]) {
                Verdict::Again => answered += 1,
                verdict => break verdict,
            }
            talk.again();
        };
        assert_eq!((last, answered), (verdict, answers));
    }
}

#[test]
fn a_challenge_is_remembered_and_may_be_made_once_more() {
    let mut talk = Talk::new();
    assert_eq!(talk.refused(&[&digest("1", "")]), Verdict::Again);
    talk.auth.renew();
    assert!(talk.ask().is_some(), "the next attempt begins with it");
    // This camera wants to challenge first, always with the same nonce.
    assert_eq!(talk.refused(&[&digest("1", "")]), Verdict::Again);
    talk.again();
    assert_eq!(talk.refused(&[&digest("1", "")]), Verdict::Wrong);
}

#[test]
fn what_is_not_known_is_named() {
    let mut talk = Talk::new();
    assert_eq!(talk.refused(&["NTLM", "Bearer realm=\"x\""]), Verdict::Unknown("ntlm bearer".into()));
    let unknown = talk.refused(&[&digest("1", ", algorithm=SHA3")]);
    assert_eq!(unknown, Verdict::Unknown("Digest with an unknown algorithm".into()));
    assert_eq!(talk.refused(&[]), Verdict::Unknown(String::new()));
    let mut nobody = Authenticator::new(None, 0);
    assert_eq!(nobody.handle_refusal(&headers(&["Basic"]), &mut Sent::default()), Verdict::NoCredentials);
}

#[test]
fn challenges_are_read_as_cameras_write_them() {
    let wanted = |challenge: &Parameters| {
        let get = |name| challenge.get(name).map(<[u8]>::to_vec);
        (challenge.scheme.to_ascii_lowercase(), get("realm"), get("nonce"))
    };
    for text in [
        "Digest realm=\"a, b\", nonce=\"1\"",
        "digest realm = \"a, b\" , nonce = \"1\" ,",
        "Digest  nonce=1;realm=\"a, b\"",
        "Digest nonce=\"1\" realm=\"a, b\"",
        "Digest REALM=\"a\\, b\",Nonce=1",
        "Digest realm=\"a, b\", nonce=1, x",
    ] {
        let read = read_challenges(text.as_bytes());
        let expected = ("digest".to_owned(), Some(b"a, b".to_vec()), Some(b"1".to_vec()));
        assert_eq!(wanted(&read[0]), expected, "{text}");
    }
    let bare = read_challenges(b"Digest realm=IP Camera, nonce=1");
    assert_eq!(wanted(&bare[0]), ("digest".to_owned(), Some(b"IP Camera".to_vec()), Some(b"1".to_vec())));
    for text in
        ["", ",,,", "=", "=x", "Digest", "Digest realm=\"x", "Digest realm=\"x\\", "\"\"\"", "Digest nonce="]
    {
        read_challenges(text.as_bytes());
    }
}

#[test]
fn realms_that_are_no_utf8_go_into_the_hash_as_they_are() {
    let raw = [&b"RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"\xb4\xf3\", nonce=\"1\"\r\n\r\n"[..]]
        .concat();
    let mut talk = Talk::new();
    assert_eq!(talk.auth.handle_refusal(&read_head(&raw).headers, &mut talk.sent), Verdict::Again);
    let value = talk.auth.authorize(Method::Describe, URI, &mut talk.sent).expect("a challenge is in force");
    let hex = |parts: &[&[u8]]| Algorithm::Md5.hash(&parts.join(&b':'));
    let login = login().expect("there is one");
    let secret = hex(&[login.username.as_bytes(), b"\xb4\xf3", login.password.expose().as_bytes()]);
    let asked = hex(&[b"DESCRIBE", URI.as_bytes()]);
    let response = hex(&[secret.as_bytes(), b"1", asked.as_bytes()]);
    assert!(value.windows(32).any(|part| part == response.as_bytes()));
    assert!(value.windows(2).any(|part| part == b"\xb4\xf3"));
}
