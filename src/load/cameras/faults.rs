//! Misbehaviour on demand: what real cameras do wrong, each by an option.
//!
//! Owns the options and when each of them strikes. Never does it itself: the dialogue, the clock and the
//! connection ask.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::mile::Mile;
use crate::options::share;

/// What a camera's clock is ahead by every other time that it jumps.
const JUMP: Duration = Duration::from_secs(3_600);

/// `Content-Length` of a description that never ends.
pub const HUGE_CONTENT_LENGTH: &str = "2147483647";

/// Payload bytes of an RTP packet at the most: 1,400 with its header, as cameras do that leave room for
/// tunnels in Ethernet's 1,500; and with `--big-packets`, as cameras do that know only TCP.
const PAYLOAD: usize = 1_388;
const BIG_PAYLOAD: usize = 60_000;

/// Parts in a million that a clock may be wrong by: a tenth. Cheap crystals have 100.
const MAX_DRIFT: i64 = 100_000;

/// Misbehaviour. Without any the cameras are good ones.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Misbehaviour")]
pub struct Faults {
    /// Only the first K cameras misbehave [default: all]
    #[arg(long, value_name = "K")]
    pub faulty: Option<u16>,
    /// Send nothing any more, AFTER each PLAY, but answer and keep the connection
    #[arg(long, value_name = "AFTER", value_parser = duration)]
    pub stall: Option<Duration>,
    /// Close the connection, this long after each PLAY
    #[arg(long, value_name = "AFTER", value_parser = duration)]
    pub drop_connection: Option<Duration>,
    /// Announce a session description of 2 GB, of which the end never comes
    #[arg(long)]
    pub huge_content_length: bool,
    /// Send random bytes between packets
    #[arg(long, value_name = "EVERY", num_args = 0..=1, require_equals = true, default_missing_value = "5s",
        value_parser = duration)]
    pub garbage: Option<Duration>,
    /// Set the clock ahead by an hour, then back, and so on
    #[arg(long, value_name = "EVERY", num_args = 0..=1, require_equals = true, default_missing_value = "5s",
        value_parser = duration)]
    pub timestamp_jump: Option<Duration>,
    /// Leave SPS and PPS out of the stream, or out of the session description, too
    #[arg(long, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "stream")]
    pub no_parameter_sets: Option<Missing>,
    /// Begin with whatever picture is next, and not with a keyframe
    #[arg(long)]
    pub begin_anywhere: bool,
    /// Let the clock of the timestamps run faster by so many parts in a million, or slower if negative
    #[arg(long, value_name = "PPM", allow_hyphen_values = true, value_parser = clap::value_parser!(i32).range(-MAX_DRIFT..=MAX_DRIFT))]
    pub clock_drift: Option<i32>,
    /// Lose packets sent by UDP: 5% or 0.05
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub udp_loss: Option<f64>,
    /// Send packets of pictures by UDP behind the three that follow them, or as the last of their picture: 5% or 0.05
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub udp_reorder: Option<f64>,
    /// Send RTP packets of up to 60,000 bytes
    #[arg(long)]
    pub big_packets: bool,
}

/// Where parameter sets are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Missing {
    /// In the stream: receivers need those of the session description.
    Stream,
    /// Everywhere: nobody can decode it.
    Everywhere,
}

/// What to do with a unit of media that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Send it.
    Send,
    /// Send rubbish before it.
    Garbage,
    /// Send nothing.
    Silence,
    /// Close the connection.
    Close,
}

impl Faults {
    /// Those of camera `index`, counted from 0.
    pub fn of(&self, index: usize) -> Faults {
        let good = self.faulty.is_some_and(|faulty| index >= faulty.into());
        if good { Faults::default() } else { self.clone() }
    }

    /// What to do with a unit, `played` after PLAY; `garbage` counts how often there was rubbish.
    pub fn act(&self, played: Duration, garbage: &mut u128) -> Act {
        let past = |limit: Option<Duration>| limit.is_some_and(|limit| played >= limit);
        if past(self.drop_connection) {
            return Act::Close;
        }
        if past(self.stall) {
            return Act::Silence;
        }
        let times = self.garbage.map_or(0, |every| played.as_nanos() / every.as_nanos().max(1));
        if times > *garbage {
            *garbage = times;
            return Act::Garbage;
        }
        Act::Send
    }

    /// What a clock is ahead by that runs since `elapsed`.
    pub fn ahead(&self, elapsed: Duration) -> Duration {
        let jumps = self.timestamp_jump.map_or(0, |every| elapsed.as_nanos() / every.as_nanos().max(1));
        if jumps % 2 == 1 { JUMP } else { Duration::ZERO }
    }

    /// What a clock shows of `elapsed` that drifts.
    pub fn drifted(&self, elapsed: Duration) -> Duration {
        let ppm = i64::from(self.clock_drift.unwrap_or_default());
        let rate = 1_000_000_u64.saturating_add_signed(ppm);
        Duration::from_nanos((elapsed.as_nanos() * u128::from(rate) / 1_000_000) as u64)
    }

    /// The way of a track's UDP packets, whose chances follow from `seed`.
    pub fn mile(&self, seed: u64) -> Mile {
        Mile::new(self.udp_loss.unwrap_or_default(), self.udp_reorder.unwrap_or_default(), seed)
    }

    /// Whether the stream has parameter sets.
    pub fn sets_in_stream(&self) -> bool {
        self.no_parameter_sets.is_none()
    }

    /// Whether the session description has.
    pub fn sets_in_description(&self) -> bool {
        self.no_parameter_sets != Some(Missing::Everywhere)
    }

    /// Bytes of an RTP payload at the most.
    pub fn max_payload(&self) -> usize {
        if self.big_packets { BIG_PAYLOAD } else { PAYLOAD }
    }
}

/// A time on the command line, above zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    match sluice_config::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be more than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write it as 500ms, 5s, 2m or 1h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_strikes_when_it_should() {
        let mut garbage = 0;
        let good = Faults::default();
        assert_eq!(good.act(seconds(1_000_000), &mut garbage), Act::Send);
        let faults = Faults { garbage: Some(seconds(2)), stall: Some(seconds(5)), ..good.clone() };
        let acts: Vec<Act> = (0..7).map(|second| faults.act(seconds(second), &mut garbage)).collect();
        use Act::{Garbage, Send, Silence};
        assert_eq!(acts, [Send, Send, Garbage, Send, Garbage, Silence, Silence]);
        let faults = Faults { drop_connection: Some(seconds(6)), ..faults };
        assert_eq!(faults.act(seconds(6), &mut garbage), Act::Close);

        let faults = Faults { timestamp_jump: Some(seconds(10)), ..good };
        let ahead = [0, 9, 10, 19, 20, 30].map(|second| faults.ahead(seconds(second)).as_secs());
        assert_eq!(ahead, [0, 0, 3_600, 3_600, 0, 3_600]);

        for (ppm, shown) in [(None, 1_000_000), (Some(250), 1_000_250), (Some(-250), 999_750)] {
            let faults = Faults { clock_drift: ppm, ..Faults::default() };
            assert_eq!(faults.drifted(seconds(1)), Duration::from_micros(shown));
        }
    }

    #[test]
    fn some_cameras_can_be_good() {
        let faults = Faults { faulty: Some(2), big_packets: true, ..Faults::default() };
        assert_eq!([0, 1, 2].map(|index| faults.of(index).big_packets), [true, true, false]);
    }
}
