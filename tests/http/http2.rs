//! HTTP/2: what a page and a player do over it, and clients that ask much, take it back, or do not read.

use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};
use sluice_harness::authority::{Authority, PairFiles};
use sluice_harness::{PATIENCE, Request, Sluice};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::SLUICE;

const CHROMIUM: &str = include_str!("../data/chromium-156.sdp");

/// A server with TLS, and who vouches for it.
struct Secured {
    authority: Authority,
    sluice: Sluice,
    _files: PairFiles,
}

impl Secured {
    fn start(more: &[&str]) -> Secured {
        let authority = Authority::default();
        let files = PairFiles::new(&authority.pair(&["127.0.0.1"]));
        let arguments = files.arguments("http");
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let sluice = SLUICE.start(&arguments);
        sluice.wait_until_playing("demo");
        Secured { authority, sluice, _files: files }
    }

    /// A connection, and the task that ends with it.
    async fn connect(&self, builder: &Builder) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
        let to: SocketAddr = self.sluice.http;
        let stream = tokio::net::TcpStream::connect(to).await.expect("a connection");
        let connector = TlsConnector::from(self.authority.client(&["h2", "http/1.1"]));
        let stream = connector.connect(to.ip().into(), stream).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (requests, connection) = builder.handshake(stream).await.expect("HTTP/2");
        (requests, tokio::spawn(connection))
    }
}

fn ask(method: &str, path: &str) -> axum::http::Request<()> {
    let request = axum::http::Request::builder().method(method).uri(format!("https://127.0.0.1{path}"));
    request.body(()).expect("a request")
}

/// Runs a client to its end, for as long as a test waits for anything.
fn client(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(2 * PATIENCE, future).await.expect("it takes too long") });
}

/// A request without a body, and the whole answer to it.
async fn answer(
    requests: &SendRequest<Bytes>,
    method: &str,
    path: &str,
) -> Result<(u16, Vec<u8>), h2::Error> {
    let mut requests = requests.clone().ready().await?;
    let (response, _) = requests.send_request(ask(method, path), true)?;
    let (head, body) = response.await?.into_parts();
    Ok((head.status.as_u16(), read(body).await?))
}

async fn read(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[test]
fn a_page_with_all_its_parts_and_a_session_go_over_one_connection() {
    let secured = Secured::start(&[]);
    client(async {
        let (requests, _connection) = secured.connect(&Builder::new()).await;
        let parts =
            ["/", "/demo/", "/static/player.js", "/static/whep.js", "/streams.json", "/demo/frame.mp4"];
        let asked = parts.map(|path| answer(&requests, "GET", path));
        for (path, (asked, one_by_one)) in parts.iter().zip(
            futures::future::join_all(asked)
                .await
                .into_iter()
                .zip(parts.map(|path| secured.authority.request(secured.sluice.http, &Request::get(path)))),
        ) {
            let (status, body) = asked.expect(path);
            assert_eq!((status, one_by_one.status), (200, 200), "{path}");
            // The others change from one moment to the next.
            if path.starts_with("/static/") {
                assert_eq!(body, one_by_one.body, "{path}");
            }
            assert!(!body.is_empty(), "{path}");
        }
        let mut ready = requests.clone().ready().await.expect("an open connection");
        let mut offer = ask("POST", "/demo/whep");
        offer.headers_mut().insert("content-type", "application/sdp".parse().expect("a type"));
        let (response, mut body) = ready.send_request(offer, false).expect("an open connection");
        body.send_data(Bytes::from_static(CHROMIUM.as_bytes()), true).expect("an open stream");
        let (head, body) = response.await.expect("an answer").into_parts();
        let sdp = String::from_utf8(read(body).await.expect("a body")).expect("text");
        assert_eq!(head.status.as_u16(), 201, "{sdp}");
        assert!(sdp.starts_with("v=0") && sdp.contains("a=fingerprint:"), "{sdp}");
        assert_eq!(secured.sluice.metric("sluice_sessions"), 1.0);
        let location = head.headers["location"].to_str().expect("text");
        let session = url::Url::parse("https://127.0.0.1/demo/whep").and_then(|base| base.join(location));
        let session = session.expect("a session").path().to_owned();
        assert_eq!(answer(&requests, "DELETE", &session).await.expect("an answer").0, 200);
        secured.sluice.wait_for_metric("sluice_sessions", "is 0", |sessions| sessions == 0.0);
    });
}

#[test]
fn a_connection_that_rests_is_ended_and_one_that_is_used_is_not() {
    let rest = Duration::from_secs(2);
    let secured = Secured::start(&["--set", "http.header_timeout=2s"]);
    client(async {
        // A machine that is too busy lets the connection rest without our doing: then once more, with another.
        for _ in 0..5 {
            let (requests, connection) = secured.connect(&Builder::new()).await;
            let (began, mut last, mut longest) = (Instant::now(), Instant::now(), Duration::ZERO);
            let mut open = Ok(());
            while began.elapsed() < rest + rest / 2 && open.is_ok() {
                tokio::time::sleep(rest / 10).await;
                open =
                    answer(&requests, "GET", "/demo/whep").await.map(|(status, _)| assert_eq!(status, 204));
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            if longest < rest / 2 {
                open.expect("it is used");
                assert!(!connection.is_finished());
                // The server said that it leaves, and did not wait for our own farewell to it.
                let end = connection.await.expect("no panic");
                let farewell = |error: &h2::Error| error.get_io().map(std::io::Error::kind);
                assert!(
                    matches!(
                        end.as_ref().err().map(farewell),
                        None | Some(Some(BrokenPipe | ConnectionReset))
                    ),
                    "{end:?}"
                );
                let refused = requests.ready().await.expect_err("it has ended");
                return assert!(refused.is_go_away() && refused.is_remote(), "{refused:?}");
            }
        }
        panic!("this machine is too busy to use a connection all the time");
    });
}

#[test]
fn requests_at_once_take_places_as_connections_do() {
    let secured = Secured::start(&["--set", "http.connections=1", "--set", "http.header_timeout=1s"]);
    client(async {
        let (requests, _connection) = secured.connect(&Builder::new()).await;
        let began = Instant::now();
        // Their bodies do not come, so whichever is first keeps the only place until it is answered.
        let slow = async || {
            let mut ready = requests.clone().ready().await.expect("an open connection");
            let mut offer = ask("POST", "/demo/whep");
            offer.headers_mut().insert("content-type", "application/sdp".parse().expect("a type"));
            let (response, _body) = ready.send_request(offer, false).expect("an open connection");
            assert_eq!(response.await.expect("an answer").status().as_u16(), 408);
            began.elapsed()
        };
        let (one, other) = tokio::join!(slow(), slow());
        assert!(one.max(other) >= Duration::from_secs(2), "both at once: {one:?}, {other:?}");
    });
}

#[test]
fn more_requests_or_longer_headers_than_there_may_be_are_refused() {
    let secured = Secured::start(&[]);
    client(async {
        let (requests, _connection) = secured.connect(&Builder::new()).await;
        assert_eq!(answer(&requests, "GET", "/demo/whep").await.expect("an answer").0, 204);
        assert_eq!(requests.clone().ready().await.expect("it is open").current_max_send_streams(), 16);
        let mut long = ask("GET", "/demo/whep");
        for number in 0..40 {
            let name: axum::http::HeaderName = format!("x-{number}").parse().expect("a name");
            long.headers_mut().insert(name, "x".repeat(500).parse().expect("a value"));
        }
        let mut ready = requests.clone().ready().await.expect("it is open");
        let (response, _) = ready.send_request(long, true).expect("it is open");
        assert_eq!(response.await.expect("an answer").status().as_u16(), 431);
        assert_eq!(answer(&requests, "GET", "/demo/whep").await.expect("an answer").0, 204);
    });
}

#[test]
fn who_takes_back_what_he_asks_for_again_and_again_is_cut_off() {
    let secured = Secured::start(&["--set", "http.connections=2"]);
    client(async {
        // No room for an answer, so that each of them is under way when it is taken back.
        let (requests, connection) = secured.connect(Builder::new().initial_window_size(0)).await;
        let mut asked = 0;
        while !connection.is_finished() && asked < 20_000 {
            let Ok(mut ready) = requests.clone().ready().await else { break };
            let Ok((response, mut stream)) = ready.send_request(ask("GET", "/static/player.js"), true) else {
                break;
            };
            // Some are seen by a handler first, and some are not.
            if asked % 2 == 0 {
                let _ = tokio::time::timeout(Duration::from_millis(5), response).await;
            }
            stream.send_reset(Reason::CANCEL);
            asked += 1;
            tokio::task::yield_now().await;
        }
        assert!(asked < 2_000, "{asked} requests were taken back");
        // Nothing of it is left behind.
        let (requests, _connection) = secured.connect(&Builder::new()).await;
        assert_eq!(answer(&requests, "GET", "/demo/whep").await.expect("an answer").0, 204);
    });
}

#[test]
fn who_asks_much_and_makes_no_room_for_it_loses_his_place() {
    let secured = Secured::start(&["--set", "http.connections=1", "--set", "http.header_timeout=1s"]);
    client(async {
        let (requests, connection) = secured.connect(Builder::new().initial_window_size(100)).await;
        let mut unread = Vec::new();
        for _ in 0..4 {
            let mut ready = requests.clone().ready().await.expect("it is open");
            unread.push(ready.send_request(ask("GET", "/static/player.js"), true).expect("it is open"));
        }
        let ended = connection.await.expect("no panic");
        assert!(ended.is_err(), "it is not let go in order");
        let (requests, _connection) = secured.connect(&Builder::new()).await;
        assert_eq!(answer(&requests, "GET", "/demo/whep").await.expect("an answer").0, 204);
    });
}

#[test]
fn a_slow_reader_gets_everything() {
    let secured = Secured::start(&["--set", "http.header_timeout=2s"]);
    client(async {
        let (requests, _connection) = secured.connect(Builder::new().initial_window_size(1_000)).await;
        let mut ready = requests.clone().ready().await.expect("it is open");
        let (response, _) = ready.send_request(ask("GET", "/static/player.js"), true).expect("it is open");
        let mut body = response.await.expect("an answer").into_body();
        let (mut bytes, began) = (Vec::new(), Instant::now());
        while let Some(chunk) = body.data().await {
            let chunk = chunk.expect("it is not cut off");
            bytes.extend_from_slice(&chunk);
            tokio::time::sleep(Duration::from_millis(300)).await;
            body.flow_control().release_capacity(chunk.len()).expect("room");
        }
        assert!(began.elapsed() > Duration::from_secs(2), "not slow at all: {} bytes", bytes.len());
        let script = secured.authority.request(secured.sluice.http, &Request::get("/static/player.js")).body;
        assert_eq!(bytes, script);
    });
}
