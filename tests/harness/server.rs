//! A server that runs: what an operator sees of it, and its end.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::canary;
use crate::http::{Request, Response};
use crate::ports::{free_tcp_address, free_udp_ports};
use crate::wait::wait_for;

/// How the first line begins of a server that serves.
const GREETINGS: [&str; 2] = ["open http", "from this machine nobody may watch"];

/// A running server, ended with the test.
pub struct Sluice {
    child: Child,
    /// Where pages and WHEP are.
    pub http: SocketAddr,
    /// Where metrics and health are.
    pub admin: SocketAddr,
    /// UDP port of the first shard.
    pub udp_port: u16,
    /// Everything it wrote to standard error so far.
    log: Arc<Mutex<String>>,
}

impl Sluice {
    /// Starts `command` with free ports and `arguments`, and waits until it serves.
    ///
    /// # Errors
    ///
    /// Its log, if it ends before it serves.
    pub(crate) fn start(mut command: Command, stderr: Stdio, arguments: &[&str]) -> Result<Sluice, String> {
        let (http, admin) = (free_tcp_address(), free_tcp_address());
        let udp_port = free_udp_ports(4);
        let mut child = command
            .args(["--set", &format!("http.listen={http}"), "--set", &format!("admin.listen={admin}")])
            .args(["--set", &format!("udp.port={udp_port}"), "--set", "shards.count=2"])
            .args(["--set", "udp.address=127.0.0.1", "--set", "ice.addresses=127.0.0.1"])
            .args(["--set", "log.level=sluice=debug"])
            .args(arguments)
            .env(canary::VARIABLE.0, canary::VARIABLE.1)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let sink = log.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut log = sink.lock().expect("the log's lock");
                    log.push_str(&line);
                    log.push('\n');
                }
            });
        }
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut line).expect("its standard output");
        let mut sluice = Sluice { child, http, admin, udp_port, log };
        canary::assert_unseen("the greeting", line.as_bytes());
        if !GREETINGS.iter().any(|greeting| line.starts_with(greeting)) {
            wait_for("the server to end", || sluice.child.try_wait().expect("its state"));
            // Its last words may still be on their way.
            std::thread::sleep(Duration::from_millis(200));
            return Err(format!("{line:?}\n{}", sluice.log()));
        }
        std::thread::spawn(move || stdout.read_to_string(&mut String::new()));
        Ok(sluice)
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        let log = self.log.lock().expect("the log's lock").clone();
        canary::assert_unseen("the log", log.as_bytes());
        log
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One request to the public listener.
    pub fn request(&self, request: Request) -> Response {
        request.send(self.http)
    }

    /// The value of one metric line, such as `sluice_sessions` or `sluice_stream_up{stream="demo"}`.
    pub fn metric(&self, name: &str) -> f64 {
        let text = Request::get("/metrics").send(self.admin).text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no metric {name} in\n{text}")).parse().expect("a number")
    }

    /// Waits until a metric is what the test wants.
    pub fn wait_for_metric(&self, name: &str, what: &str, wanted: impl Fn(f64) -> bool) -> f64 {
        wait_for(&format!("{name} {what}"), || Some(self.metric(name)).filter(|&value| wanted(value)))
    }

    /// Waits until the stream plays.
    pub fn wait_until_playing(&self, stream: &str) {
        self.wait_for_metric(&format!("sluice_stream_up{{stream=\"{stream}\"}}"), "is 1", |up| up == 1.0);
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.ended()
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill runs");
    }

    /// Waits for the end of it: its status and its whole log.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let status = wait_for("the server to end", || self.child.try_wait().expect("its status"));
        (status, self.log())
    }
}

impl Drop for Sluice {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = std::mem::take(&mut *self.log.lock().expect("the log's lock"));
        if std::thread::panicking() {
            eprintln!("---- log of the server\n{log}");
        } else {
            canary::assert_unseen("the log", log.as_bytes());
        }
    }
}
