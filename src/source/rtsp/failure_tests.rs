use url::Url;

use super::super::Credentials;
use super::*;

fn settings(url: &str) -> RtspSettings {
    let mut settings = RtspSettings::new("cam", Url::parse(url).expect("a URL"));
    settings.credentials = Some(Credentials { username: "admin".into(), password: "s3cret".into() });
    settings
}

fn detail(text: &str) -> String {
    Detail::from_text(text, &settings("rtsp://10.0.0.9/user=admin_key=hunter2?token=t0ken")).to_string()
}

#[test]
fn details_hold_one_line_and_no_url_path_query_or_password() {
    let text = detail(
        "bad Content-Base \"rtsp://10.0.0.9/user=admin_key=hunter2?token=t0ken\": empty\n\nconn: 1.2.3.4",
    );
    assert_eq!(text, "bad Content-Base \"rtsp://...\": empty");
    assert_eq!(detail("unknown /user=admin_key=hunter2 and token=t0ken"), "unknown ... and ...");
    assert_eq!(detail("you are s3cret"), "text withheld, it contains the password");
    assert_eq!(detail("fine\nyou are s3cret"), "text withheld, it contains the password");
    assert_eq!(detail("Invalid RTSP message: byte 0; buffered:\n00 01"), "Invalid RTSP message: byte 0");
    assert_eq!(detail("a\x1b[31mb"), "a [31mb");
    assert_eq!(detail(&"x".repeat(5_000)).len(), MAX_DETAIL + 3);
    assert_eq!(detail("http://a rtsp://b/c>d ://"), "http://... rtsp://...>d ://...");
}

#[test]
fn an_empty_password_withholds_nothing() {
    let mut settings = settings("rtsp://10.0.0.9/");
    settings.credentials = Some(Credentials { username: "admin".into(), password: String::new() });
    assert_eq!(Detail::from_text("a / b", &settings).to_string(), "a / b");
}

#[test]
fn debug_shows_neither_credentials_nor_the_path() {
    let settings = settings("rtsp://10.0.0.9:8554/user=admin_key=hunter2?token=t0ken");
    let text = format!("{settings:?} {:?}", settings.credentials);
    for secret in ["s3cret", "hunter2", "t0ken", "admin"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("10.0.0.9:8554"), "{text}");
}

#[test]
fn refusals_say_what_to_do() {
    let sentence = |status, transport, has_credentials| {
        let detail = Detail("X".into());
        Failure::Refused { request: Request::Setup, status, transport, has_credentials, detail }.to_string()
    };
    assert_eq!(
        sentence(401, Transport::Tcp, true),
        "refused SETUP: check user and password of the source (X)"
    );
    assert!(sentence(401, Transport::Tcp, false).contains("put user and password"));
    assert!(sentence(404, Transport::Tcp, true).contains("check the path"));
    assert!(sentence(461, Transport::Tcp, true).contains("set its rtsp_transport to udp"));
    assert!(sentence(461, Transport::Udp, true).contains("set its rtsp_transport to tcp"));
    assert!(sentence(453, Transport::Udp, true).contains("close other clients"));
    assert!(sentence(302, Transport::Udp, true).contains("final address"));
}

#[test]
fn only_what_trying_cannot_cure_waits_for_the_operator() {
    let refused = |status| Failure::Refused {
        request: Request::Describe,
        status,
        transport: Transport::Tcp,
        has_credentials: true,
        detail: Detail(String::new()),
    };
    assert!(refused(401).needs_operator() && refused(403).needs_operator());
    assert!(Failure::Nothing(Vec::new()).needs_operator() && Failure::Url.needs_operator());
    assert!(
        !refused(404).needs_operator() && !refused(503).needs_operator() && !Failure::Closed.needs_operator()
    );
}

#[test]
fn failures_are_the_same_by_kind_and_status_not_by_text() {
    let refused = |status, text: &str| Failure::Refused {
        request: Request::Describe,
        status,
        transport: Transport::Tcp,
        has_credentials: true,
        detail: Detail(text.into()),
    };
    assert!(refused(401, "a").same_as(&refused(401, "b")));
    assert!(!refused(401, "a").same_as(&refused(404, "a")));
    assert!(Failure::Stream(Detail("seq 1".into())).same_as(&Failure::Stream(Detail("seq 2".into()))));
    assert!(!Failure::Closed.same_as(&Failure::Panic));
}
