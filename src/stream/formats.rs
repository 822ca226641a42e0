//! What a stream carries: its video, its audio, and what is said of them.

use sluice_media::{AudioCodec, Foreign, VideoCodec};

use super::brand::Brand;

/// The video of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoFormat {
    /// Its codec.
    pub codec: VideoCodec,
    /// What its parameter sets say of profile and level, when known. A source may leave it out.
    pub profile_level_id: Option<[u8; 3]>,
    /// Width and height in pixels, when known.
    pub size: Option<(u16, u16)>,
    /// Frames a second that the source announces, when it does.
    pub frame_rate: Option<f32>,
}

impl std::fmt::Display for VideoFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.codec.encoding_name())?;
        if let Some((width, height)) = self.size {
            write!(f, " {width}x{height}")?;
        }
        self.frame_rate.map_or(Ok(()), |rate| write!(f, " {rate}/s"))
    }
}

impl std::fmt::Display for AudioFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let channels = if self.channels == 1 { "mono" } else { "stereo" };
        write!(f, "{} {channels}", self.codec.encoding_name())?;
        self.made_of.map_or(Ok(()), |made_of| write!(f, " from {}", made_of.sound))
    }
}

/// The audio of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFormat {
    /// Its codec.
    pub codec: AudioCodec,
    /// Channels.
    pub channels: u8,
    /// What it is made of while somebody watches, if the source sends something else.
    pub made_of: Option<MadeOf>,
}

impl AudioFormat {
    /// Sound that goes on as it comes.
    pub fn new(codec: AudioCodec, channels: u8) -> AudioFormat {
        AudioFormat { codec, channels, made_of: None }
    }
}

/// Sound that is turned into Opus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeOf {
    /// What the source sends.
    pub sound: Foreign,
    /// Of the source's timestamps, in Hz.
    pub clock_rate: u32,
}

/// What a source carries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Formats {
    /// The video, if any that can be forwarded.
    pub video: Option<VideoFormat>,
    /// The audio, if any that can be forwarded.
    pub audio: Option<AudioFormat>,
    /// The source has video, and none that can be forwarded.
    pub video_left_out: bool,
    /// What is there but not forwarded, or not as browsers want it, in sentences for everybody.
    pub notes: Vec<String>,
    /// Whose camera it is, where that can be told.
    pub brand: Option<Brand>,
}

impl Formats {
    /// Whether there are pictures and sound, which then belong together.
    pub fn has_both(&self) -> bool {
        self.video.is_some() && self.audio.is_some()
    }
}
