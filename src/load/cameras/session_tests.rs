//! The dialogue: what each request does, and what is refused.
#![expect(clippy::disallowed_methods, reason = "any instant serves")]

use std::net::Ipv4Addr;

use rtsp_types::{Message, Url};

use super::super::clip::Clip;
use super::super::faults::{Faults, Missing};
use super::*;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TCP: (&str, &str) = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");

struct Client {
    session: Session,
    now: Instant,
    cseq: u32,
    change: Change,
}

impl Client {
    fn new(faults: &Faults, admitted: bool) -> Client {
        Client::of(faults, admitted, None)
    }

    fn of(faults: &Faults, admitted: bool, credentials: Option<Credentials>) -> Client {
        let (clip, now) = (Arc::new(Clip::demo()), Instant::now());
        let cameras =
            (0..2).map(|index| Camera::new((index, 2, ""), clip.clone(), faults, true, now, [1_000, 2_000]));
        let cameras = cameras.map(Arc::new).collect();
        let session = Session::new(cameras, CLIENT, (6_970, 6_971), admitted, credentials);
        Client { session, now, cseq: 0, change: Change::None }
    }

    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Vec<u8>> {
        self.cseq += 1;
        let mut text = format!("{method} rtsp://host:8554{path} RTSP/1.0\r\nCSeq: {}\r\n", self.cseq);
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        let (message, _) = Message::parse(&format!("{text}\r\n")).expect("a request");
        let Message::Request(request) = message else { panic!("{text}") };
        let mut numbers = 0xabcd_u64..;
        let (response, change) =
            self.session.handle_request(&request, self.now, &mut || numbers.next().expect("endless"));
        assert_eq!(header(&response, &CSEQ), self.cseq.to_string());
        self.change = change;
        response
    }

    #[track_caller]
    fn refused(&mut self, method: &str, path: &str, headers: &[(&str, &str)], status: u16) {
        let response = self.ask(method, path, headers);
        assert_eq!(u16::from(response.status()), status, "{method} {path} {headers:?}");
        assert_eq!(self.change, Change::None);
    }
}

fn header(response: &Response<Vec<u8>>, name: &HeaderName) -> String {
    response.header(name).map(|value| value.as_str().to_owned()).unwrap_or_default()
}

#[test]
fn a_session_from_beginning_to_end() {
    let mut client = Client::new(&Faults::default(), true);
    assert!(header(&client.ask("OPTIONS", "/cam1", &[]), &PUBLIC).contains("GET_PARAMETER"));

    let description = client.ask("DESCRIBE", "/cam2", &[]);
    assert_eq!(header(&description, &CONTENT_BASE), "rtsp://host:8554/cam2/");
    let sdp = String::from_utf8(description.into_body()).expect("text");
    let parsed = sdp_types::Session::parse(sdp.as_bytes()).expect("valid");
    let media: Vec<&str> = parsed.medias.iter().map(|media| &media.media[..]).collect();
    assert_eq!(media, ["video", "audio"]);
    assert!(
        sdp.contains("a=fmtp:96 packetization-mode=1;profile-level-id=42C01F;sprop-parameter-sets=Z0LA"),
        "{sdp}"
    );

    let setup = client.ask("SETUP", "/cam2/track1", &[TCP]);
    assert_eq!(header(&setup, &TRANSPORT), "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=0000ABCE;mode=\"PLAY\"");
    assert_eq!(header(&setup, &SESSION), "000000000000ABCD;timeout=60");
    let session = ("Session", "000000000000ABCD");
    let udp = ("Transport", "RTP/AVP;unicast;client_port=5000-5001");
    let setup = client.ask("SETUP", "/cam2/track2", &[udp, session]);
    assert!(header(&setup, &TRANSPORT).contains("client_port=5000-5001;server_port=6970-6971"));
    assert!(!client.session.is_interleaved());
    assert_eq!(client.session.playing(), None);

    client.now += std::time::Duration::from_millis(1_000);
    let play = client.ask("PLAY", "/cam2/", &[session]);
    assert_eq!((&client.change, client.session.playing()), (&Change::Play, Some(1)));
    // The second of two cameras is half a picture behind: 16.7 ms.
    assert_eq!(
        header(&play, &RTP_INFO),
        "url=rtsp://host:8554/cam2/track1;seq=21991;rtptime=89500,\
         url=rtsp://host:8554/cam2/track2;seq=21991;rtptime=49200"
    );
    client.ask("PLAY", "/cam2/", &[session]);
    assert_eq!(client.change, Change::None, "it plays already");
    client.ask("GET_PARAMETER", "/cam2/", &[session]);
    assert!(client.session.track(Track::Video).is_some());

    client.ask("TEARDOWN", "/cam2/", &[session]);
    assert_eq!((&client.change, client.session.playing()), (&Change::Stop, None));
    assert!(client.session.track(Track::Video).is_none());
    client.refused("PLAY", "/cam2", &[], 455);
    // Another one on the same connection, of another camera.
    client.ask("SETUP", "/cam1/track1", &[TCP]);
    client.ask("PLAY", "/cam1", &[]);
    assert_eq!(client.session.playing(), Some(0));
}

#[test]
fn what_cannot_be_is_refused_with_the_status_that_says_why() {
    let mut client = Client::new(&Faults::default(), true);
    for path in ["/", "/cam0", "/cam3", "/CAM1", "/cam1/track3", "/cam1/track1/x"] {
        client.refused("DESCRIBE", path, &[], 404);
    }
    client.refused("SETUP", "/cam1", &[TCP], 459);
    client.refused("SETUP", "/cam1/track1", &[], 400);
    client.refused("SETUP", "/cam1/track1", &[("Transport", "RTP/SAVP;unicast;client_port=5000-5001")], 461);
    client.refused("PLAY", "/cam1", &[], 455);
    client.refused("TEARDOWN", "/cam1", &[], 454);
    client.refused("OPTIONS", "/cam1", &[("Session", "000000000000ABCD")], 454);
    client.refused("RECORD", "/cam1", &[], 405);
    client.refused("DANCE", "/cam1", &[], 501);

    client.ask("SETUP", "/cam1/track1", &[TCP]);
    client.refused("SETUP", "/cam2/track1", &[TCP], 455);
    client.refused("PLAY", "/cam1", &[("Session", "1")], 454);
    client.refused("PLAY", "/cam2", &[], 455);
    client.ask("PLAY", "/cam1", &[]);
    client.refused("SETUP", "/cam1/track2", &[TCP], 455);
}

#[test]
fn a_request_without_a_number_or_a_url_is_bad() {
    let mut client = Client::new(&Faults::default(), true);
    let mut ask = |request: Request<Vec<u8>>| {
        u16::from(client.session.handle_request(&request, client.now, &mut || 1).0.status())
    };
    let url = Url::parse("rtsp://host/cam1").expect("a URL");
    let nameless = Request::builder(Method::Describe, Version::V1_0).request_uri(url).build(Vec::new());
    assert_eq!(ask(nameless), 400);
    let request = |method| Request::builder(method, Version::V1_0).header(CSEQ, "1").build(Vec::new());
    assert_eq!(ask(request(Method::Describe)), 400);
    assert_eq!(ask(request(Method::Options)), 200, "OPTIONS * has no URL");
}

#[test]
fn a_camera_without_room_says_so() {
    let mut client = Client::new(&Faults::default(), false);
    client.ask("DESCRIBE", "/cam1", &[]);
    client.refused("SETUP", "/cam1/track1", &[TCP], 453);
}

#[test]
fn whoever_does_not_know_the_password_gets_nothing_but_a_challenge() {
    let credentials = "admin:secret".parse().expect("credentials");
    let mut client = Client::of(&Faults::default(), true, Some(credentials));
    assert_eq!(u16::from(client.ask("OPTIONS", "/cam1", &[]).status()), 200);
    for (method, path) in [("DESCRIBE", "/cam1"), ("DESCRIBE", "/none"), ("SETUP", "/cam1/track1")] {
        let refusal = client.ask(method, path, &[TCP]);
        assert_eq!((u16::from(refusal.status()), refusal.body().len()), (401, 0), "{method} {path}");
        let challenge = header(&refusal, &WWW_AUTHENTICATE);
        assert!(challenge.starts_with("Digest realm=\"sluice-cameras\", nonce=\""), "{challenge}");
    }
    client.refused("PLAY", "/cam1", &[], 401);
    assert_eq!(client.session.playing(), None);
}

#[test]
fn a_description_can_lie() {
    let faults = Faults { faulty: Some(1), huge_content_length: true, ..Faults::default() };
    let mut client = Client::new(&faults, true);
    assert_eq!(header(&client.ask("DESCRIBE", "/cam1", &[]), &CONTENT_LENGTH), HUGE_CONTENT_LENGTH);
    let good = client.ask("DESCRIBE", "/cam2", &[]);
    assert_eq!(header(&good, &CONTENT_LENGTH), good.body().len().to_string());

    for (missing, announced) in [(Missing::Stream, true), (Missing::Everywhere, false)] {
        let mut client = Client::new(&Faults { no_parameter_sets: Some(missing), ..Faults::default() }, true);
        let sdp = String::from_utf8(client.ask("DESCRIBE", "/cam1", &[]).into_body()).expect("text");
        assert_eq!(sdp.contains("sprop-parameter-sets"), announced, "{sdp}");
    }
}
