//! Another server, that ours asks: it answers as a test wants, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A server on a free port of this machine, for the rest of the test's process.
pub struct Other {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Value>>>,
}

/// What a request is answered with: a status and a body.
pub type Answer = (u16, String);

impl Other {
    /// One that `answer`s what it is asked: the JSON of a body, or null without one.
    pub fn start(answer: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Other {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (seen, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (seen.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Other { address, asked }
    }

    /// Its address as a URL, with `path` behind.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All that it was asked so far.
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().expect("the list").clone()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Value>>, answer: &dyn Fn(&Value) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let question = serde_json::from_slice(&body).unwrap_or_default();
        seen.lock().expect("the list").push(question);
        let question = seen.lock().expect("the list").last().cloned().expect("it was put there");
        let (status, text) = answer(&question);
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{text}", text.len()).ok()?;
    }
}
