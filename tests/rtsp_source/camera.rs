//! The camera process: tests/common/camera.py.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use sluice::source::rtsp::RtspSettings;
use url::Url;

use crate::quick;

/// tests/common/camera.py with `arguments`.
pub(crate) struct Camera {
    process: Child,
    lines: BufReader<ChildStdout>,
    pub(crate) url: Url,
}

impl Camera {
    pub(crate) fn start(arguments: &[&str]) -> Camera {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/camera.py");
        let mut process = Command::new("/usr/bin/python3")
            .arg(script)
            .args(["--size", "320x180", "--fps", "30", "--gop", "15", "--kbps", "400"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let lines = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let mut camera = Camera { process, lines, url: Url::parse("rtsp://none/").expect("a URL") };
        let ready = camera.line();
        let url =
            ready.strip_prefix("READY ").expect("the camera needs the GStreamer packages named in camera.py");
        camera.url = Url::parse(url).expect("the camera prints its URL");
        camera
    }

    /// The next line that the camera prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the camera's stdout is readable");
        line.trim().to_owned()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    pub(crate) fn settings(&self) -> RtspSettings {
        quick(self.url.clone())
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
