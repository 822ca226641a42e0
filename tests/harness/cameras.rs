//! `sluice load cameras` as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::canary;
use crate::wait::wait_for;

/// `sluice load cameras`, ended with the test.
pub struct Cameras {
    child: Child,
    /// URLs, in order; of pairs each second stream behind its first.
    pub urls: Vec<String>,
}

impl Cameras {
    /// Starts `count` on a free port and waits until they can be played.
    pub(crate) fn start(mut command: Command, count: usize, arguments: &[&str]) -> Cameras {
        let mut child = command
            .args(["load", "cameras", "--rtsp-port", "0", "--count", &count.to_string()])
            .args(arguments)
            .env("RUST_LOG", "sluice=debug")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let urls = count * if arguments.contains(&"--pairs") { 2 } else { 1 };
        let cameras = Cameras { child, urls: lines.take(urls).map_while(Result::ok).collect() };
        assert_eq!(cameras.urls.len(), urls, "the cameras did not start");
        cameras
    }

    /// `cam1=rtsp://...` for each, as a server's arguments, with a password that nobody is to see.
    pub fn streams(&self) -> Vec<String> {
        let numbered = (1..).zip(&self.urls);
        numbered.map(|(number, url)| format!("cam{number}={}", canary::with_credentials(url))).collect()
    }

    /// The port they listen on.
    pub fn port(&self) -> u16 {
        let authority = self.urls[0].split('/').nth(2).expect("a URL");
        authority.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the cameras to end", || self.child.try_wait().expect("their status"))
    }

    /// Sends SIGTERM, and gives the end and the log.
    pub fn terminate(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        let status = self.wait();
        let mut log = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut log).expect("text");
        (status, log)
    }
}

impl Drop for Cameras {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
