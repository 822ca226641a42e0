//! Another server, started by the bench where ours is measured. A shell: it starts, signals and looks into `/proc`.
//!
//! Owns the words of `--peer`, and that all of a peer's processes end. Never knows what server it is.

use std::fs;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use crate::child::Child;
use crate::clock::{Stopwatch, pause};
use crate::error::{BenchError, What};
use crate::rig::{Loading, Rig};

/// Time for it to start, pull the camera and send the first packet to a viewer.
const READY: Duration = Duration::from_secs(30);

/// Time between two tries to watch it.
const AGAIN: Duration = Duration::from_millis(300);

/// What is put in place of these in the endpoint and in the command.
const CAMERA: &str = "{camera}";
const SERVER: &str = "{server}";

/// A server that the bench can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What the report calls it.
    pub name: String,
    url: String,
    command: Vec<String>,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Peer, String> {
        let wrong = || {
            format!(
                "{text:?} is not NAME=WHEP_URL COMMAND, as in \
                 'mediamtx=http://{SERVER}:8889/cam1/whep env MTX_PATHS_CAM1_SOURCE={CAMERA} mediamtx mediamtx.yml'"
            )
        };
        let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
        let mut words = rest.split_whitespace().map(str::to_owned);
        let url = words.next().filter(|url| url.starts_with("http://") || url.starts_with("https://"));
        let (url, command) = (url.ok_or_else(wrong)?, words.collect::<Vec<_>>());
        if name.is_empty() || command.is_empty() {
            return Err(wrong());
        }
        Ok(Peer { name: name.to_owned(), url, command })
    }
}

/// A peer that runs. All its processes end with this.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Where its viewers join.
    pub url: String,
}

impl Peer {
    /// Starts it on the server's core and in the server's network, and waits until it has sent something to a viewer.
    pub async fn start(&self, rig: &Rig, camera: &str) -> Result<Running, BenchError> {
        let (server, _) = rig.addresses();
        let filled = |text: &String| text.replace(CAMERA, camera).replace(SERVER, &server.to_string());
        let (program, arguments) = self.command.split_first().expect("it has a command");
        let mut command = Command::new(filled(program));
        command.args(arguments.iter().map(filled));
        // What it starts itself stays in its group, which can be ended as a whole.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = rig.start(What::Peer, command, rig.server_place())?;
        let mut running = Running { child, url: filled(&self.url) };
        let began = Stopwatch::start();
        loop {
            if let Some(status) = running.child.ended() {
                return Err(running.child.died(status, "before it was ready"));
            }
            let one = Loading {
                duration: Duration::from_millis(500),
                ..Loading::of(std::slice::from_ref(&running.url), 1)
            };
            // It may not listen yet, or not have the camera: whatever is wrong, the next try may go well.
            let tried = rig.start_load(&[], &one, rig.load_place())?.end().await;
            if tried.is_ok_and(|measured| measured.totals.packets > 0) {
                return Ok(running);
            }
            if began.elapsed() > READY {
                return Err(BenchError::Cannot(format!(
                    "{}: {} sent nothing to a viewer within {READY:?}; its last words: {}",
                    self.name,
                    running.url,
                    running.child.tail()
                )));
            }
            pause(AGAIN).await;
        }
    }
}

impl Running {
    /// Its processes, those that it started as well.
    pub fn pids(&self) -> Vec<u32> {
        members(self.child.pid())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.pid());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    }
}

/// Processes of a process group.
fn members(group: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Behind the name in parentheses: state, parent, group.
        let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
        behind.split_whitespace().nth(2).and_then(|text| text.parse().ok()) == Some(group)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_name_an_endpoint_and_a_command() {
        let text = "mtx=http://{server}:8889/cam1/whep env A={camera} /opt/mediamtx x.yml";
        let peer: Peer = text.parse().expect("good");
        assert_eq!((peer.name.as_str(), peer.url.as_str()), ("mtx", "http://{server}:8889/cam1/whep"));
        assert_eq!(peer.command, ["env", "A={camera}", "/opt/mediamtx", "x.yml"]);
        for wrong in ["x", "x=http://h/whep", "=http://h/whep run", "x=run http://h/whep", "x=http://h,12"] {
            assert!(wrong.parse::<Peer>().expect_err(wrong).contains("NAME=WHEP_URL COMMAND"), "{wrong}");
        }
    }

    #[test]
    fn our_own_group_has_us() {
        let stat = fs::read_to_string("/proc/self/stat").expect("our own");
        let group = stat.rsplit_once(')').and_then(|(_, behind)| behind.split_whitespace().nth(2));
        let group = group.and_then(|text| text.parse().ok()).expect("a group");
        assert!(members(group).contains(&std::process::id()));
    }
}
