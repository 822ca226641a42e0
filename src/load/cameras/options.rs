//! The command line of `sluice load cameras`.
//!
//! Owns defaults, units and limits; those of misbehaviour are in `faults`. Never starts anything.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::auth::Credentials;
use super::clip::{Clip, ClipError};
use super::faults::{self, Faults};
use super::sound::{Audio, Sound};

/// Cameras for load tests: RTSP over TCP and UDP, a looped clip, frames that carry their send time.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Number of cameras: rtsp://ADDRESS:PORT/cam1, /cam2 ...
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub count: u16,
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "P", default_value_t = 8554)]
    pub rtsp_port: u16,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub listen: IpAddr,
    /// Show this file instead of the demo: H.264 or H.265 without B pictures, in MP4 or as a byte stream (Annex B)
    #[arg(long, value_name = "FILE")]
    pub clip: Option<PathBuf>,
    /// Give each camera a second stream, rtsp://ADDRESS:PORT/cam1-sub ...
    #[arg(long)]
    pub pairs: bool,
    /// What the second streams show, as --clip [default: what the first show]
    #[arg(long, value_name = "FILE", requires = "pairs")]
    pub sub_clip: Option<PathBuf>,
    /// Pictures a second of the clips [default: what an MP4 file says on average, 30 for a byte stream]
    #[arg(long, requires = "clip", value_parser = fps)]
    pub fps: Option<f64>,
    /// Sound, which is never that of a file [default: opus with the demo, none with a file]
    #[arg(long, value_name = "CODEC")]
    pub audio: Option<Audio>,
    /// Leave out the send time (SEI) of pictures
    #[arg(long)]
    pub no_timestamps: bool,
    /// Ask for these credentials by Digest authentication [default: let everybody in]
    #[arg(long, value_name = "USER:PASSWORD")]
    pub auth: Option<Credentials>,
    /// Clients that may play at a time; more are refused (453)
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_clients: u32,
    /// End after this time, as in 90s or 2h [default: on SIGTERM or Ctrl-C]
    #[arg(long, value_name = "TIME", value_parser = faults::duration)]
    pub duration: Option<Duration>,
    /// What the cameras do wrong.
    #[command(flatten)]
    pub faults: Faults,
}

impl Options {
    /// What the cameras show. Reads a file; blocks.
    pub fn clip(&self) -> Result<Clip, ClipError> {
        self.clip_of(self.clip.as_deref())
    }

    /// What their second streams show, if they have such. Reads a file; blocks.
    pub fn sub_clip(&self) -> Result<Option<Clip>, ClipError> {
        let path = self.sub_clip.as_deref().or(self.clip.as_deref());
        self.pairs.then(|| self.clip_of(path)).transpose()
    }

    fn clip_of(&self, path: Option<&Path>) -> Result<Clip, ClipError> {
        let mut clip = match path {
            Some(path) => Clip::read(path, self.fps)?,
            None => Clip::demo(),
        };
        if let Some(audio) = self.audio {
            clip.sound = Sound::of(audio);
        }
        Ok(clip)
    }
}

fn fps(text: &str) -> Result<f64, String> {
    let fps: f64 = text.parse().map_err(|_| "is not a number, as in 25 or 29.97".to_owned())?;
    if (1.0..=240.0).contains(&fps) { Ok(fps) } else { Err("must be 1 to 240".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::faults::Missing;
    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parse(line: &str) -> Result<Options, String> {
        let words = ["cameras"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.options).map_err(|error| error.to_string())
    }

    #[test]
    fn cameras_are_good_and_local_unless_asked() {
        let options = parse("").expect("the defaults");
        assert!(options.listen.is_loopback());
        assert!(options.faults.sets_in_stream() && options.faults.sets_in_description());
        assert_eq!(options.faults.max_payload(), 1_388);
        let clip = options.clip().expect("the demo");
        let payloads = |clip: &Clip| clip.sound.as_ref().map(|sound| sound.payloads.len());
        assert_eq!((clip.pictures.len(), payloads(&clip)), (300, Some(500)));
        assert!(options.sub_clip().expect("none").is_none());
        let paired = parse("--audio none --pairs").expect("good");
        assert_eq!(payloads(&paired.clip().expect("the demo")), None);
        let sub = paired.sub_clip().expect("the demo").expect("a second stream");
        assert_eq!((sub.pictures.len(), payloads(&sub)), (300, None));
    }

    #[test]
    fn misbehaviour_may_leave_out_its_time() {
        let faults =
            parse("--garbage --timestamp-jump=250ms --no-parameter-sets --count 3").expect("good").faults;
        assert_eq!(faults.garbage, Some(Duration::from_secs(5)));
        assert_eq!(faults.timestamp_jump, Some(Duration::from_millis(250)));
        assert_eq!(faults.no_parameter_sets, Some(Missing::Stream));
    }

    #[test]
    fn nonsense_is_refused_with_the_way_out() {
        for (line, word) in [
            ("--count 0", "1..="),
            ("--stall 0s", "more than zero"),
            ("--stall 5", "500ms"),
            ("--fps 25", "--clip"),
            ("--clip x --fps 1000", "1 to 240"),
            ("--auth admin", "user:password"),
            ("--sub-clip x", "--pairs"),
            ("--udp-loss 6", "5%"),
            ("--clock-drift 200000", "100000"),
            ("--max-clients 0", "1..="),
            ("--no-parameter-sets=nowhere", "everywhere"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
