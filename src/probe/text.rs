//! The report in words: a line for each thing, and the lines to paste.

use std::fmt;

use super::measure::Interval;
use super::report::{Asked, Audio, Report, Second, Video};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |label: &str, text: &str| writeln!(f, "{label:<11}{text}");
        line("camera", &self.camera)?;
        if let Some(transport) = self.transport {
            line("transport", transport)?;
        }
        if self.transport.is_some() || self.sign_in.scheme != "none" {
            line("sign-in", &self.sign_in.to_string())?;
        }
        if let Some(video) = &self.video {
            line("video", &video.to_string())?;
        }
        match &self.audio {
            Some(audio) => line("audio", &audio.to_string())?,
            None if self.video.is_some() => line("audio", "none")?,
            None => {}
        }
        if self.restarts > 0 {
            line("restarts", &format!("{}: the camera began anew within the session", self.restarts))?;
        }
        for note in &self.notes {
            line("note", note)?;
        }
        line("verdict", &self.verdict)?;
        for change in &self.changes {
            writeln!(f, "change on the camera: {change}")?;
        }
        if let Some(second) = &self.second {
            write!(f, "\n{second}")?;
        }
        match &self.toml {
            Some(toml) => write!(f, "\n{toml}"),
            None => Ok(()),
        }
    }
}

/// As the first stream, without what is the same: address, transport and sign-in.
impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |label: &str, text: &str| writeln!(f, "{label:<11}{text}");
        line(self.layer, &self.url)?;
        if let Some(video) = &self.video {
            line("video", &video.to_string())?;
        }
        if let Some(audio) = &self.audio {
            line("audio", &audio.to_string())?;
        }
        line("verdict", &self.verdict)?;
        for change in &self.changes {
            writeln!(f, "change on the camera: {change}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.scheme, self.algorithm) {
            ("none", _) if self.credentials => {
                f.write_str("none (the URL's user and password are not asked for)")?
            }
            ("none", _) => f.write_str("none")?,
            ("basic", _) => f.write_str("Basic")?,
            ("digest", Some(algorithm)) => write!(f, "Digest {algorithm}")?,
            _ => f.write_str("in a way that is not known here")?,
        }
        match (self.refused, self.credentials) {
            (false, _) => Ok(()),
            (true, true) => f.write_str(", refused"),
            (true, false) => f.write_str(", and the URL has no user and password"),
        }
    }
}

impl fmt::Display for Video {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.codec)?;
        if let (Some(profile), Some(level)) = (&self.profile, &self.level) {
            write!(f, " {profile} {level}")?;
        }
        if let (Some(width), Some(height)) = (self.width, self.height) {
            write!(f, ", {width}x{height}")?;
        }
        if let Some(rate) = self.pictures_per_second {
            write!(f, ", {rate:.1} pictures/s")?;
        }
        if let Some(bits) = self.bits_per_second {
            write!(f, ", {}", Bits(bits))?;
        }
        match (self.keyframe_interval_seconds, self.seconds_since_keyframe) {
            (Some(interval), _) => write!(f, ", keyframe every {interval}")?,
            (None, Some(since)) => write!(f, ", no second keyframe within {since:.1} s")?,
            (None, None) if self.pictures > 0 => f.write_str(", no keyframe")?,
            (None, None) => f.write_str(", no picture")?,
        }
        if self.keyframes > 0 {
            f.write_str(if self.b_frames { ", B-frames" } else { ", no B-frames" })?;
            f.write_str(if self.interlaced { ", interlaced" } else { "" })?;
        }
        Ok(())
    }
}

/// `2.0 s`, or `1.0 to 4.0 s` where they differ by more than a tenth of a second and a tenth of themselves.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spread = self.longest - self.shortest;
        if spread > 0.1 && spread > self.mean / 10.0 {
            write!(f, "{:.1} to {:.1} s", self.shortest, self.longest)
        } else {
            write!(f, "{:.1} s", self.mean)
        }
    }
}

impl fmt::Display for Audio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.codec, if self.channels == 1 { "mono" } else { "stereo" })?;
        match self.bits_per_second {
            _ if self.packets == 0 => f.write_str(", no packet"),
            Some(bits) => write!(f, ", {}", Bits(bits)),
            None => Ok(()),
        }
    }
}

/// Bits a second as people say it.
struct Bits(f64);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1e6 {
            write!(f, "{:.1} Mb/s", self.0 / 1e6)
        } else {
            write!(f, "{:.0} kb/s", self.0 / 1e3)
        }
    }
}
