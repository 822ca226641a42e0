//! The camera stand-in: an RTSP server by GStreamer, `camera.py`, as a process.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use url::Url;

use crate::namespace::Namespace;

/// One camera, ended with the test.
pub struct Camera {
    process: Child,
    lines: BufReader<ChildStdout>,
    /// Where it can be played.
    pub url: Url,
}

impl Camera {
    /// Starts it with the script's own arguments, and waits until it can be played.
    pub fn start(arguments: &[&str]) -> Camera {
        Camera::by(Command::new("/usr/bin/python3"), arguments)
    }

    /// The same in a network namespace.
    pub fn start_in(namespace: &Namespace, arguments: &[&str]) -> Camera {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &namespace.name, "/usr/bin/python3"]);
        Camera::by(command, arguments)
    }

    fn by(mut python: Command, arguments: &[&str]) -> Camera {
        let mut process = python
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/camera.py"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let lines = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let mut camera = Camera { process, lines, url: Url::parse("rtsp://none/").expect("a URL") };
        let ready = camera.line();
        let url = ready.strip_prefix("READY ").unwrap_or_else(|| {
            panic!("the camera said {ready:?}; it needs the packages that tests/all installs")
        });
        camera.url = Url::parse(url).expect("the camera prints its URL");
        camera
    }

    /// As [`Camera::start`], with a small picture and a keyframe each half second.
    pub fn small(arguments: &[&str]) -> Camera {
        let small = ["--size", "320x180", "--fps", "30", "--gop", "15", "--kbps", "400"];
        Camera::start(&[&small, arguments].concat())
    }

    /// The next line that the camera prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the camera's stdout is readable");
        line.trim().to_owned()
    }

    /// Sends it a signal, such as `-STOP`.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
