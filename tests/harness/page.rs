//! A page held open in Chromium, driven by `browser/play.mjs`; what it reports is the browser's own `getStats()`.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use serde_json::Value;

use crate::canary;
use crate::wait::{PATIENCE, wait_for};

/// Where what drives the browser is, and where pictures of it stay.
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// One browser at a time: two of them decoding on two cores make each other's figures meaningless.
static BROWSER: Mutex<()> = Mutex::new(());

/// Waits until no other test of this process drives a browser, and keeps them waiting until it is dropped.
pub fn turn() -> MutexGuard<'static, ()> {
    // A failed test poisons the lock; the next one is not to blame.
    BROWSER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A page held open in Chromium.
pub struct Page {
    child: Child,
    input: ChildStdin,
    answers: mpsc::Receiver<Value>,
}

impl Page {
    /// Opens a page of the server at `http`.
    pub fn open(http: SocketAddr, path: &str) -> Page {
        Page::start(Command::new("node"), &format!("http://{http}{path}"), &[])
    }

    /// As [`Page::open`] over TLS, whoever vouches for the server.
    pub fn open_secure(http: SocketAddr, path: &str) -> Page {
        Page::start(Command::new("node"), &format!("https://{http}{path}"), &["--any-certificate"])
    }

    /// As [`Page::open`], for somebody who types `NAME:PASSWORD` when the browser asks for it.
    pub fn open_as(user: &str, http: SocketAddr, path: &str) -> Page {
        Page::start(Command::new("node"), &format!("http://{http}{path}"), &["--user", user])
    }

    /// As [`Page::open`], with the browser in a network namespace.
    pub fn open_in(namespace: &str, http: SocketAddr, path: &str) -> Page {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, "node"]);
        Page::start(command, &format!("http://{http}{path}"), &[])
    }

    fn start(mut node: Command, url: &str, options: &[&str]) -> Page {
        let mut child = node
            .args([&format!("{TESTS}/browser/play.mjs"), "--url", url, "--hold", "--timeout", "120"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs (tests/all installs what it needs)");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (send, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let answer = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
                if send.send(answer).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take().expect("piped");
        let page = Page { child, input, answers };
        assert_eq!(page.answer()["ready"], true);
        page
    }

    fn answer(&self) -> Value {
        let answer = self.answers.recv_timeout(2 * PATIENCE).expect("an answer of the browser");
        canary::assert_unseen("a page", answer.to_string().as_bytes());
        answer
    }

    fn ask(&mut self, line: &str) -> Value {
        writeln!(self.input, "{line}").expect("the browser listens");
        self.answer()
    }

    /// What an expression of JavaScript, or the promise it is, becomes in the page.
    pub fn eval(&mut self, code: &str) -> Value {
        let code: String = code.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let mut answer = self.ask(&format!("eval {code}"));
        assert!(answer["error"].is_null(), "{code}: {answer}");
        answer["value"].take()
    }

    /// Waits until an expression is true in the page, which may be on its way to another one.
    #[track_caller]
    pub fn wait_until(&mut self, code: &str) {
        let line: String = code.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        wait_for(code, || {
            std::thread::sleep(Duration::from_millis(50));
            (self.ask(&format!("eval {line}"))["value"] == true).then_some(())
        });
    }

    /// Does as a person would: `hover SELECTOR`, `press KEY`, `view WIDTH HEIGHT`, `media NAME=VALUE`. Or has
    /// requests fail: `block PATTERN`.
    #[track_caller]
    pub fn act(&mut self, command: &str) {
        let answer = self.ask(command);
        assert!(answer["error"].is_null(), "{command}: {answer}");
    }

    /// Nothing went wrong in the page, and nothing was kept from it by its policy.
    #[track_caller]
    pub fn assert_sound(&mut self) {
        let stats = self.stats();
        assert_eq!(stats["errors"], serde_json::json!([]), "{stats:#}");
    }

    /// What the browser measured so far.
    pub fn stats(&mut self) -> Value {
        self.ask("stats")
    }

    /// Waits until more than `than` frames are decoded, and returns the report.
    pub fn wait_for_frames(&mut self, than: u64) -> Value {
        wait_for(&format!("more than {than} decoded frames"), || {
            std::thread::sleep(Duration::from_millis(200));
            Some(self.stats()).filter(|stats| frames(stats) > than)
        })
    }

    /// Keeps what it shows in `tests/artifacts`.
    pub fn screenshot(&mut self, name: &str) {
        let directory = PathBuf::from(TESTS).join("artifacts");
        std::fs::create_dir_all(&directory).expect("a place for artifacts");
        let file = directory.join(format!("{name}.png"));
        self.ask(&format!("screenshot {}", file.display()));
        // A page that is black all over has 3 KB; the camera stand-in's white ball on black has 5.
        assert!(std::fs::metadata(&file).expect("the screenshot").len() > 4_500, "{}", file.display());
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // The whole page as it stands at the end of the test.
        let asked = writeln!(self.input, "eval document.documentElement.outerHTML").is_ok();
        if asked
            && let Ok(page) = self.answers.recv_timeout(PATIENCE)
            && !std::thread::panicking()
        {
            canary::assert_unseen("a page", page.to_string().as_bytes());
        }
        let _ = writeln!(self.input, "quit");
        let mut left = 50;
        while left > 0 && self.child.try_wait().is_ok_and(|status| status.is_none()) {
            std::thread::sleep(Duration::from_millis(100));
            left -= 1;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Frames decoded so far.
pub fn frames(stats: &Value) -> u64 {
    stats["video"]["framesDecoded"].as_u64().unwrap_or(0)
}
