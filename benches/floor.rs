//! The floor: the same bytes, sealed and sent with nothing around them.
//!
//! It answers what a packet must cost on this machine, so that a report can say how much of the server's cost
//! is its own doing: *cost per packet / floor*.
//!
//! **In the floor**: for every destination the header, the copy of the payload into the send arena and
//! AES-256-GCM with a key of that destination's own ([`sluice_media::srtp`], the server's code, by the library
//! that the server took); the same
//! [`sluice_io::Batch`] and [`sluice_io::Sender`] with GSO; one wake-up per moment at which something is due. What is
//! sent when is what the server sends when: the same clip through the same packetizers, video and audio, at its
//! real pace, in the messages that the server's fan-out makes of it (sound that shares a picture's message, the
//! padding for that, large pictures in portions), one turn per destination, flushed before each pause. As many
//! destinations as the server had viewers, each a socket of its own that is read by a process on the
//! generator's core. Packets carry the 8 bytes of header extension (`abs-send-time`) that the server's do.
//!
//! **Not in the floor**: everything a viewer is beyond its key and address: ICE, DTLS, consent checks,
//! receiver and sender reports, NACKs, REMB and their datagrams in; sequence numbers and timestamps of each
//! viewer's own; deadlines, counters, rings; deciding what shares a message; the queue from the control plane
//! and its waking of the shard; HTTP, RTSP, depacketizing and packetizing.
//!
//! So it is no bound of physics: fewer, longer trains or another system call would lower it. It is what
//! this design pays for the bytes alone. Both sides are measured by the same account of the kernel: the
//! server by `/proc/PID/stat`, in steps of 10 ms, the floor's one thread by what that rounds.
//!
//! The server sends it (`sluice bench floor send`), [`crate::sink`] receives it.

use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sluice_media::srtp::Library;

use super::error::BenchError;
use super::error::What;
use super::rig::Rig;
use super::sink;
use super::spread::Spread;

/// Length of the clip. Its pictures differ, so what is measured over another time than whole repetitions of it
/// is of other packets than the floor's.
pub const CLIP: Duration = Duration::from_secs(10);

/// Time for the sink to make its sockets, and for both to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time that is sent before it is measured: caches, neighbours and the clock frequency settle.
const WARM_UP: Duration = Duration::from_secs(1);

/// How large a floor shall be.
#[derive(Debug, Clone, Copy)]
pub struct FloorSize {
    /// Streams, with their phases spread as those of cameras.
    pub streams: u32,
    /// Destinations of each.
    pub viewers: u32,
    /// Pictures carry a send time, as those of the simulated cameras do.
    pub send_times: bool,
    /// Who seals: the library that the server took (`Server::cipher`).
    pub cipher: Library,
    /// How long to measure.
    pub duration: Duration,
}

/// What a floor cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Destinations.
    pub destinations: u32,
    /// Seconds measured.
    pub seconds: f64,
    /// Packets that the kernel took.
    pub packets: u64,
    /// Their bytes, without UDP and IP headers.
    pub bytes: u64,
    /// GSO messages that they were.
    pub messages: u64,
    /// Packets dropped because the socket was full.
    pub dropped: u64,
    /// CPU seconds, user mode and kernel.
    pub cpu_seconds: f64,
    /// Those of them in the kernel, in steps of 10 ms.
    pub system_seconds: f64,
    /// By how much the last step was late: more than a little, and the floor was no longer at its pace.
    pub late_seconds: f64,
    /// Packets that arrived at the sink in all, the warm-up included.
    #[serde(default)]
    pub arrived: u64,
    /// Packets sent in all, the warm-up included.
    pub sent: u64,
}

impl Floor {
    /// CPU per packet in seconds.
    pub fn cpu_per_packet(&self) -> f64 {
        self.cpu_seconds / self.packets as f64
    }

    /// Packets in a message on average.
    pub fn packets_per_message(&self) -> f64 {
        self.packets as f64 / self.messages as f64
    }

    /// What makes it doubtful.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.dropped > 0 {
            doubts.push(format!("{} of the floor's packets did not fit its socket", self.dropped));
        }
        if self.late_seconds > 0.1 {
            doubts.push(format!(
                "the floor itself could not keep the pace and was {:.1} s late: its core is too slow for so many, \
                 and its figure is that of a full core",
                self.late_seconds
            ));
        }
        let missing = self.sent.saturating_sub(self.arrived);
        if missing * 1_000 > self.sent {
            doubts.push(format!(
                "{missing} of the floor's {} packets did not reach the sink: what was dropped on the way cost less",
                self.sent
            ));
        }
        doubts
    }
}

/// Costs per packet over the floor's of the same round.
pub fn over_floor<'a>(rounds: impl IntoIterator<Item = (f64, &'a Floor)>) -> Option<Spread> {
    Spread::of(rounds.into_iter().map(|(cost, floor)| cost / floor.cpu_per_packet()))
}

impl Rig {
    /// Measures the floor: the sender on the server's core and in its network, the sink on the generator's.
    pub async fn floor(&self, size: FloorSize) -> Result<Floor, BenchError> {
        let count = size.streams * size.viewers;
        let (server, load) = self.addresses();
        let arguments = ["bench", "floor", "sink"].map(str::to_owned);
        let arguments =
            arguments.into_iter().chain([format!("--address={load}"), format!("--count={count}")]);
        let mut sink = self.start(What::Sink, self.sluice(arguments), self.load_place())?;
        let destinations = sink.out().to_owned();
        let complete = || {
            let text = fs::read_to_string(&destinations).ok()?;
            // The empty line behind the last address.
            text.ends_with("\n\n").then_some(())
        };
        sink.until("open its sockets", PATIENCE, complete).await?;

        let mut sender = self.sluice(["bench", "floor", "send"]);
        sender
            .arg("--destinations")
            .arg(&destinations)
            .arg(format!("--source={server}"))
            .arg(format!("--streams={}", size.streams))
            .arg(format!("--cipher={}", size.cipher))
            .arg(format!("--warm-up={}", WARM_UP.as_millis()))
            .arg(format!("--duration={}", size.duration.as_millis()));
        if size.send_times {
            sender.arg("--send-times");
        }
        let mut sender = self.start(What::Floor, sender, self.server_place())?;
        let status = sender.end(WARM_UP + size.duration + PATIENCE).await?;
        if !status.success() {
            return Err(sender.died(status, "without a result"));
        }
        let mut floor: Floor = last_line(sender.out())?;
        sink.close_input();
        let status = sink.end(PATIENCE).await?;
        if !status.success() {
            return Err(sink.died(status, "without a result"));
        }
        floor.arrived = last_line::<sink::Arrived>(sink.out())?.packets;
        Ok(floor)
    }
}

/// The JSON in the last line of a file.
fn last_line<T: for<'de> Deserialize<'de>>(path: &std::path::Path) -> Result<T, BenchError> {
    let text = fs::read_to_string(path).map_err(BenchError::file(path))?;
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .map_err(|error| BenchError::Result { path: path.to_owned(), message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: Floor = Floor {
        destinations: 10,
        seconds: 1.0,
        packets: 1_000,
        bytes: 1_000_000,
        messages: 250,
        dropped: 0,
        cpu_seconds: 0.002,
        system_seconds: 0.001_5,
        late_seconds: 0.0,
        arrived: 2_000,
        sent: 2_000,
    };

    #[test]
    fn cost_is_compared_with_the_floor_of_the_same_round() {
        let dearer = Floor { cpu_seconds: 0.004, ..FLOOR };
        let spread = over_floor([(3e-6, &FLOOR), (6e-6, &dearer)]).expect("two rounds");
        assert!((spread.median - 1.5).abs() < 1e-9 && (spread.max - spread.min).abs() < 1e-9, "{spread:?}");
        assert_eq!(FLOOR.packets_per_message(), 4.0);
    }

    #[test]
    fn a_floor_that_was_late_or_lost_packets_says_so() {
        assert_eq!(FLOOR.doubts(), Vec::<String>::new());
        assert!(Floor { late_seconds: 1.0, ..FLOOR }.doubts()[0].contains("pace"));
        assert!(Floor { arrived: 1_000, ..FLOOR }.doubts()[0].contains("1000 of the floor's 2000"));
    }

    #[test]
    fn a_floor_without_packets_is_no_figure() {
        assert_eq!(over_floor([(3e-6, &Floor { packets: 0, cpu_seconds: 0.0, ..FLOOR })]), None);
    }
}
