//! A server that answers RTSP by hand, to say what no camera should.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// A server that treats every connection with `serve`; how many came is counted.
pub(crate) async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> (Url, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address: SocketAddr = listener.local_addr().expect("a bound socket has an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream));
        }
    });
    (Url::parse(&format!("rtsp://{address}/cam")).expect("a URL"), connections)
}

/// Writes all of it: `false` if the client is gone.
pub(crate) async fn write(stream: &TcpStream, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        if stream.writable().await.is_err() {
            return false;
        }
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
    true
}

pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) cseq: String,
    pub(crate) session: String,
    /// All of it.
    pub(crate) text: String,
}

/// The next request. `None` when the client is gone.
pub(crate) async fn request(stream: &TcpStream) -> Option<Request> {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        stream.readable().await.ok()?;
        let mut byte = [0];
        match stream.try_read(&mut byte) {
            Ok(0) => return None,
            Ok(_) => text.push(char::from(byte[0])),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
    let method = text.split(' ').next().unwrap_or_default().to_owned();
    let header =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    let (cseq, session) = (header("CSeq: "), header("Session: "));
    Some(Request { method, cseq, session, text })
}

pub(crate) const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n";

pub(crate) const SDP_PCMU: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n\
    m=audio 0 RTP/AVP 0\r\na=control:track1\r\n";

/// Answers requests as a camera does until PLAY is answered; the answer and `after_play` leave together.
pub(crate) async fn up_to_play(stream: &TcpStream, sdp: &str, session: &str, after_play: &[u8]) {
    while let Some(Request { method, cseq, .. }) = request(stream).await {
        let head = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n");
        let answer = match method.as_str() {
            "DESCRIBE" => {
                format!("{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
            }
            "SETUP" => {
                format!("{head}Session: {session}\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n")
            }
            // As wrong as cameras have it: no packet will be near these numbers.
            "PLAY" => format!("{head}RTP-Info: url=track1;seq=20000;rtptime=4000000000\r\n\r\n"),
            _ => return,
        };
        let last = method == "PLAY";
        write(stream, &[answer.as_bytes(), if last { after_play } else { b"" }].concat()).await;
        if last {
            return;
        }
    }
}

/// A server that plays `packets` of `sdp` to everyone and then is silent.
pub(crate) async fn player(sdp: &'static str, packets: Vec<u8>) -> Url {
    let serve = move |stream| {
        let packets = packets.clone();
        async move {
            up_to_play(&stream, sdp, "1", &packets).await;
            while request(&stream).await.is_some() {}
        }
    };
    server(serve).await.0
}

/// An interleaved RTP packet of the video with the marker set.
pub(crate) fn interleaved(sequence: u8, payload_type: u8, payload: &[u8]) -> Vec<u8> {
    let length = (12 + payload.len()) as u16;
    let mut packet = vec![b'$', 0];
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&[0x80, 0x80 | payload_type, 0, sequence, 0, 0, 0, sequence, 1, 2, 3, 4]);
    packet.extend_from_slice(payload);
    packet
}
