//! How media and datagrams pass through a shard, as numbers of that shard.
//!
//! Owns the bounds of their buckets. What is observed once for each call of the kernel or each train costs
//! nothing that can be measured; nothing here is observed for each packet.

use super::histogram::Histogram;

/// Seconds from a complete frame to the kernel: one turn of an idle shard, the target at 70 % load (2 ms), a paced
/// keyframe, a shard or a line that does not keep up (late trains are dropped after 0.5 s).
const FORWARD: &[f64] =
    &[0.0002, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512];

/// Messages of a call, segments of a message, datagrams of a call: all are bounded by 64, but for what the kernel
/// joined on the way in.
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// The numbers.
#[derive(Debug)]
pub struct Traffic {
    /// From the frame's last packet at ingest until the kernel took the batch that carries it, in seconds: counted
    /// once for each viewer that the batch carries it to. What is sent late on purpose (a catch-up, a repair) is not
    /// in it.
    pub forward_delay: Histogram,
    /// GSO messages that one `sendmmsg` took.
    pub messages_per_call: Histogram,
    /// Datagrams that one message was cut into.
    pub datagrams_per_message: Histogram,
    /// Datagrams that one `recvmmsg` brought.
    pub datagrams_per_receive: Histogram,
}

impl Default for Traffic {
    fn default() -> Traffic {
        let sizes = || Histogram::new(SIZES);
        Traffic {
            forward_delay: Histogram::new(FORWARD),
            messages_per_call: sizes(),
            datagrams_per_message: sizes(),
            datagrams_per_receive: sizes(),
        }
    }
}
