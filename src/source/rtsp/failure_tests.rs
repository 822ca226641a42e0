use sluice_config::Rtsp;

use super::super::RtspSettings;
use super::*;

fn refusal(status: u16) -> Refusal {
    Refusal {
        request: Method::Setup,
        status,
        verdict: None,
        transport: Transport::Tcp,
        detail: format!("RTSP/1.0 {status} X"),
    }
}

#[test]
fn debug_shows_neither_credentials_nor_the_path() {
    let url = "rtsp://admin:s3cret@10.0.0.9:8554/user=admin_key=hunter2?token=t0ken";
    let camera = url.parse().expect("a URL");
    let settings = RtspSettings { stream: "cam".to_owned(), camera, rtsp: Rtsp::default() };
    let text = format!("{settings:?} {:?}", settings.camera.credentials);
    for secret in ["s3cret", "hunter2", "t0ken", "admin"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("10.0.0.9:8554"), "{text}");
}

#[test]
fn who_closes_at_the_first_request_may_speak_something_else() {
    let closed = |request| Failure::Closed(request).to_string();
    assert!(closed(Some(Method::Options)).contains("rtsps://"));
    for later in [Some(Method::Describe), None] {
        assert!(closed(later).ends_with(": is it restarting, or out of sessions?"), "{later:?}");
    }
}

#[test]
fn refusals_say_what_to_do() {
    let sentence = |refusal| Failure::Refused(refusal).to_string();
    let about = |verdict| sentence(Refusal { verdict: Some(verdict), ..refusal(401) });
    assert_eq!(
        about(Verdict::Wrong),
        "refused SETUP: check user and password of the source (\"RTSP/1.0 401 X\")"
    );
    assert!(about(Verdict::NoCredentials).contains("put user and password"));
    assert!(about(Verdict::Expired).contains("clock"));
    assert!(about(Verdict::Downgrade).contains("in clear"));
    assert!(about(Verdict::Unknown("ntlm".into())).contains("credentials ntlm, known are Digest and Basic"));
    assert!(sentence(refusal(404)).contains("check the path"));
    assert!(sentence(refusal(461)).contains("set its rtsp_transport to udp"));
    assert!(
        sentence(Refusal { transport: Transport::Udp, ..refusal(461) }).contains("rtsp_transport to tcp")
    );
    let describe = sentence(Refusal { request: Method::Describe, ..refusal(461) });
    assert!(!describe.contains("udp") && describe.contains("check its RTSP settings"), "{describe}");
    assert!(sentence(refusal(551)).contains("what no request of ours asks for"));
    assert!(sentence(refusal(453)).contains("close other clients"));
    assert!(sentence(refusal(302)).contains("final address"));
}

#[test]
fn no_sentence_is_a_parsers() {
    let sentences = [
        Failure::NotRtsp("HTTP/1.1 400 Bad Request".into()),
        Failure::TooLarge(TooLarge::Head),
        Failure::TooLarge(TooLarge::Body),
        Failure::Redirected("rtsp://192.0.2.7/x".into()),
        Failure::NoDescription("<html>".into()),
        Failure::OnlyUdp("RTP/AVP;unicast".into()),
        Failure::Closed(Some(Method::Describe)),
        Failure::Closed(None),
        Failure::TunnelClosed(None),
        Failure::TunnelClosed(Some(Method::Options)),
        Failure::NoAnswerTo { request: Method::Play, limit: Duration::from_secs(10), amid: true },
        Failure::TornDown,
    ];
    for sentence in sentences.map(|failure| failure.to_string()) {
        for term in ["byte ", "parse", "header >", "EOF", "invalid", "error"] {
            assert!(!sentence.contains(term), "{term:?} in {sentence}");
        }
        let advice = sentence.contains('?') || sentence.contains("set ") || sentence.contains("put ");
        assert!(advice || sentence.contains("check "), "nothing to do in {sentence:?}");
    }
}

#[test]
fn silence_names_who_else_was_heard() {
    let silent = |silence, transport| {
        let limit = Duration::from_secs(10);
        Failure::Silent { what: "whole picture", limit, transport, silence }.to_string()
    };
    let stranger = [192, 0, 2, 7].into();
    for (silence, transport, words) in [
        (Silence::Elsewhere(stranger), Transport::Udp, "came from 192.0.2.7"),
        (Silence::Nothing, Transport::Udp, "firewall"),
        (Silence::Nothing, Transport::Tcp, "encoder still run"),
        (Silence::Strangers, Transport::Tcp, "not what its session description announced"),
        (Silence::Damaged, Transport::Tcp, "mend its line"),
        (Silence::Damaged, Transport::Udp, "rtsp_transport tcp"),
        (Silence::Headless, Transport::Tcp, "switch interleaving off"),
        (Silence::NoPicture, Transport::Tcp, "none brings a picture"),
        (Silence::Ended, Transport::Tcp, "RTCP BYE"),
    ] {
        let sentence = silent(silence, transport);
        assert!(sentence.contains(words), "{sentence}");
    }
}

#[test]
fn a_limit_that_cannot_be_raised_is_not_told_to_be() {
    let sentence = |limit| Failure::PictureTooLarge(limit).to_string();
    let most = FRAME_MAX.as_usize();
    assert!(sentence(most - 1).contains("raise rtsp.max_frame, up to 4MiB"), "{}", sentence(most - 1));
    assert!(!sentence(most).contains("raise"), "{}", sentence(most));
    assert!(sentence(most).contains("lower its bitrate or its resolution"), "{}", sentence(most));
}

#[test]
fn only_what_trying_cannot_cure_waits_for_the_operator() {
    let needs = |status| Failure::Refused(refusal(status)).needs_operator();
    assert!(needs(401) && needs(403) && needs(461));
    assert!(!Failure::Refused(Refusal { verdict: Some(Verdict::Expired), ..refusal(401) }).needs_operator());
    assert!(Failure::Nothing(Vec::new()).needs_operator());
    assert!(!needs(404) && !needs(503) && !Failure::Closed(None).needs_operator());
}

#[test]
fn failures_are_the_same_by_kind_and_status_not_by_text() {
    let refused = |status, text: &str| Failure::Refused(Refusal { detail: text.into(), ..refusal(status) });
    assert!(refused(401, "a").same_as(&refused(401, "b")));
    assert!(!refused(401, "a").same_as(&refused(404, "a")));
    assert!(Failure::Broken("1".into()).same_as(&Failure::Broken("2".into())));
    assert!(!Failure::Closed(None).same_as(&Failure::Panic));
}

#[test]
fn a_failure_has_a_word_for_its_kind() {
    let refused = |status, verdict| Failure::Refused(Refusal { verdict, ..refusal(status) });
    let limit = Duration::from_secs(5);
    for (failure, cause) in [
        (Failure::NoName("no such host".into()), Cause::Name),
        (Failure::Unreachable("refused".into()), Cause::Unreachable),
        (Failure::NoConnection(limit), Cause::Unreachable),
        (refused(401, Some(Verdict::Wrong)), Cause::Credentials),
        (refused(401, None), Cause::Credentials),
        (refused(401, Some(Verdict::NoCredentials)), Cause::NoCredentials),
        (refused(401, Some(Verdict::Unknown("ntlm".into()))), Cause::Refused),
        (refused(401, Some(Verdict::Downgrade)), Cause::Refused),
        (refused(403, None), Cause::Refused),
        (refused(404, None), Cause::Path),
        (refused(454, None), Cause::Path),
        (refused(453, None), Cause::Full),
        (refused(503, None), Cause::Full),
        (refused(461, None), Cause::Media),
        (refused(500, None), Cause::Broken),
        (Failure::Nothing(Vec::new()), Cause::Media),
        (Failure::Closed(None), Cause::Broken),
        (Failure::Panic, Cause::Internal),
    ] {
        assert_eq!(failure.cause(), cause, "{failure}");
    }
}
