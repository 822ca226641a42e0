//! Chromium on a page of ours: the page does what it is there for and tells by POST. A shell: it listens and waits.
//!
//! Owns the browser's process, the web server that it talks to, and what came in. No driver is needed: Chromium
//! opens one URL, so neither Node nor a debugging protocol takes part. Never judges what came in.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use url::Url;

use crate::error::BenchError;
use crate::error::What;
use crate::rig::Rig;

const PAGE: &str = include_str!("page.html");

/// Names of the browser, in the order of preference.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// `--allow-loopback-in-peer-connection`: between namespaces it changes nothing, without them there is no other
/// network. Candidates are hidden as `.local` names all the same, because nobody gave the page a camera. The sandbox
/// does not start as root, and the one page that is opened is ours.
const FLAGS: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=1280,720",
];

/// Without news for so long, nothing more will come: twice the page's own limit for a join (page.html), and time for
/// a browser to start on a slow machine.
const SILENCE: Duration = Duration::from_secs(40);

/// Bytes of one POST at the most: a picture as PNG, which is never larger than its pixels.
const BODY_MAX: usize = 32 << 20;

/// Attempts to remove a browser's directory.
const REMOVALS: u32 = 10;

/// POSTs that wait to be looked at.
const NEWS: usize = 64;

/// One join of the browser's. Times are from the POST, in milliseconds.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all(deserialize = "camelCase"))]
pub struct Join {
    /// What the offer gave away.
    pub candidates: Vec<Candidate>,
    /// Until ICE and DTLS were done.
    pub connected_ms: Option<f64>,
    /// Until the first picture was shown.
    pub picture_ms: Option<f64>,
    /// What kind the browser's own side of the path is.
    pub local_type: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// An ICE candidate of the browser's.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Candidate {
    /// Address, or a `.local` name (mDNS).
    pub address: String,
    /// `host` mostly.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A picture as the browser showed it.
#[derive(Debug, Clone)]
pub struct Shot {
    /// RTP timestamp of the frame, 90 kHz.
    pub timestamp: u32,
    /// The PNG file.
    pub file: PathBuf,
}

/// What a browser saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Its joins in order.
    pub joins: Vec<Join>,
    /// Pictures of the last one, in order.
    pub shots: Vec<Shot>,
    /// Why it did not come to its end.
    pub error: Option<String>,
}

enum News {
    Join(Join),
    Shot(u32, Bytes),
    End(Option<String>),
}

/// The browser given, or the first one in `$PATH`.
pub fn find(given: Option<&Path>) -> Option<PathBuf> {
    match given {
        Some(path) => path.is_file().then(|| path.to_owned()),
        None => super::find_program(&NAMES),
    }
}

/// Lets `browser` join `whep` so many times and take pictures of the last join, into the directory `pictures` of
/// the rig's.
pub async fn run(
    rig: &Rig,
    browser: &Path,
    whep: &str,
    joins: u32,
    pictures: u32,
) -> Result<Seen, BenchError> {
    let shots = fresh_directory(&rig.out().join("pictures"))?;
    let profile = Profile(fresh_directory(&rig.out().join("chromium"))?);
    let (sender, mut news) = mpsc::channel(NEWS);
    let listener = listen(rig)?;
    let address = listener.local_addr().map_err(BenchError::Start)?;
    let serving = tokio::spawn(axum::serve(listener, routes(sender)).into_future());

    let settings = [("whep", whep), ("joins", &joins.to_string()), ("pictures", &pictures.to_string())];
    let url = Url::parse_with_params(&format!("http://{address}/"), settings);
    let url = url.map_err(|error| BenchError::Cannot(error.to_string()))?;
    let mut command = Command::new(browser);
    command.args(FLAGS).arg(format!("--user-data-dir={}", profile.0.display())).arg(url.as_str());
    let mut child = rig.start(What::Browser, command, rig.load_place())?;

    let mut seen = Seen::default();
    loop {
        match tokio::time::timeout(SILENCE, news.recv()).await {
            Ok(Some(News::Join(join))) => seen.joins.push(join),
            Ok(Some(News::Shot(timestamp, png))) => {
                let file = shots.join(format!("{:02}.png", seen.shots.len() + 1));
                std::fs::write(&file, png).map_err(BenchError::file(&file))?;
                seen.shots.push(Shot { timestamp, file });
            }
            Ok(Some(News::End(error))) => {
                seen.error = error;
                break;
            }
            Ok(None) | Err(_) => {
                let ended = child.ended().map_or("it still runs".to_owned(), |status| status.to_string());
                seen.error = Some(format!("the browser said nothing for {} s ({ended})", SILENCE.as_secs()));
                break;
            }
        }
    }
    serving.abort();
    Ok(seen)
}

/// Where the browser keeps what it writes; gone with this, which must outlive the browser.
struct Profile(PathBuf);

impl Drop for Profile {
    fn drop(&mut self) {
        // Its other processes end by themselves once the first one has, and may still write.
        for _ in 0..REMOVALS {
            if std::fs::remove_dir_all(&self.0).is_ok() {
                return;
            }
        }
    }
}

fn listen(rig: &Rig) -> Result<tokio::net::TcpListener, BenchError> {
    let (_, ip) = rig.addresses();
    let listener = rig.load_place().run(|| TcpListener::bind((ip, 0)))?.map_err(BenchError::Start)?;
    listener.set_nonblocking(true).map_err(BenchError::Start)?;
    tokio::net::TcpListener::from_std(listener).map_err(BenchError::Start)
}

fn fresh_directory(path: &Path) -> Result<PathBuf, BenchError> {
    // Whatever an earlier report left there is not ours.
    let _ = std::fs::remove_dir_all(path);
    std::fs::create_dir_all(path).map_err(BenchError::file(path))?;
    // Chromium takes a relative path for one within its own directory.
    path.canonicalize().map_err(BenchError::file(path))
}

fn routes(news: mpsc::Sender<News>) -> Router {
    Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/join", post(handle_join))
        .route("/picture", post(handle_picture))
        .route("/end", post(handle_end))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(news)
}

type Sender = State<mpsc::Sender<News>>;

async fn handle_join(news: Sender, body: Bytes) -> StatusCode {
    pass_on(news, serde_json::from_slice(&body).ok().map(News::Join)).await
}

#[derive(Deserialize)]
struct Frame {
    timestamp: u32,
}

async fn handle_picture(news: Sender, Query(Frame { timestamp }): Query<Frame>, body: Bytes) -> StatusCode {
    pass_on(news, Some(News::Shot(timestamp, body))).await
}

#[derive(Deserialize)]
struct Ending {
    error: Option<String>,
}

async fn handle_end(news: Sender, body: Bytes) -> StatusCode {
    let ending = serde_json::from_slice(&body).ok();
    pass_on(news, ending.map(|Ending { error }| News::End(error))).await
}

async fn pass_on(State(sender): Sender, news: Option<News>) -> StatusCode {
    let Some(news) = news else { return StatusCode::BAD_REQUEST };
    // Fails only when nobody waits for news any more.
    let sent = sender.send(news).await;
    if sent.is_ok() { StatusCode::NO_CONTENT } else { StatusCode::GONE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_page_tells_of_a_join_is_understood() {
        let text = r#"{"candidates":[{"address":"x.local","type":"host"}],"connectedMs":12.5,"pictureMs":null,
            "localType":"prflx","error":"no picture within 15 s"}"#;
        let join: Join = serde_json::from_str(text).expect("the page's words");
        assert_eq!((join.candidates[0].kind.as_str(), join.connected_ms), ("host", Some(12.5)));
        assert!(join.picture_ms.is_none() && join.error.is_some());
        for word in ["candidates", "connectedMs", "pictureMs", "localType", "/join", "/picture", "/end"] {
            assert!(PAGE.contains(word), "{word}");
        }
    }

    #[test]
    fn a_browser_that_is_not_there_is_not_found() {
        assert_eq!(find(Some(Path::new("/nowhere/chromium"))), None);
    }
}
