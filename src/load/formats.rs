//! What a WHEP answer says about payload types: which are video, which audio, which retransmissions.
//!
//! Owns the few SDP lines that counting packets needs; the engine reads the rest. Never negotiates.

use sluice_media::VideoCodec;

/// What a payload type carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Media with this clock rate in Hz.
    Media {
        /// Video rather than audio.
        video: bool,
        /// Its codec, if that is a video that can be verified.
        codec: Option<VideoCodec>,
        /// Ticks a second of the RTP timestamp.
        clock: u32,
    },
    /// Sound with earlier packets of it in front (RFC 2198), with this clock rate in Hz.
    Redundant {
        /// Ticks a second of the RTP timestamp.
        clock: u32,
    },
    /// Retransmissions (RFC 4588) of this payload type.
    Repair {
        /// The payload type repaired.
        of: u8,
    },
}

/// The payload types of an answer.
#[derive(Debug, Clone, Default)]
pub struct Formats(Vec<(u8, Format)>);

impl Formats {
    /// Reads an answer. Sections that were refused (port 0) carry nothing.
    pub fn of_answer(sdp: &str) -> Formats {
        let mut formats = Formats::default();
        let mut video = None;
        for line in sdp.lines() {
            if let Some(section) = line.strip_prefix("m=") {
                let mut words = section.split(' ');
                let (kind, port) = (words.next(), words.next());
                video = match (kind, port) {
                    (_, Some("0")) => None,
                    (Some("video"), _) => Some(true),
                    (Some("audio"), _) => Some(false),
                    _ => None,
                };
            } else if let Some(video) = video {
                formats.read_attribute(line, video);
            }
        }
        formats
    }

    /// What a payload type carries, if the answer named it.
    pub fn get(&self, payload_type: u8) -> Option<Format> {
        self.0.iter().find(|(known, _)| *known == payload_type).map(|(_, format)| *format)
    }

    fn read_attribute(&mut self, line: &str, video: bool) {
        if let Some((payload_type, encoding)) = attribute(line, "a=rtpmap:") {
            let mut parts = encoding.split('/');
            let name = parts.next().unwrap_or_default();
            let Some(clock) = parts.next().and_then(|clock| clock.trim().parse().ok()) else { return };
            // Retransmissions are known by their fmtp line, below.
            let carries_media =
                !["rtx", "red", "ulpfec", "flexfec-03"].iter().any(|n| n.eq_ignore_ascii_case(name));
            if name.eq_ignore_ascii_case("red") && !video && clock > 0 {
                self.0.push((payload_type, Format::Redundant { clock }));
            } else if carries_media && clock > 0 {
                let codec = VideoCodec::of_name(name);
                self.0.push((payload_type, Format::Media { video, codec, clock }));
            }
        } else if let Some((payload_type, parameters)) = attribute(line, "a=fmtp:")
            && let Some(of) = parameters.split(';').find_map(|part| part.trim().strip_prefix("apt="))
            && let Ok(of) = of.trim().parse()
        {
            self.0.push((payload_type, Format::Repair { of }));
        }
    }
}

fn attribute<'a>(line: &'a str, name: &str) -> Option<(u8, &'a str)> {
    let (payload_type, rest) = line.strip_prefix(name)?.split_once(' ')?;
    Some((payload_type.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_media_and_repairs() {
        let answer = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=rtpmap:111 opus/48000/2\r\n\
                      a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n\
                      m=video 9 UDP/TLS/RTP/SAVPF 108 109\r\na=rtpmap:108 H264/90000\r\n\
                      a=rtpmap:109 rtx/90000\r\na=fmtp:109 apt=108\r\na=rtpmap:98 red/90000\r\n\
                      m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n";
        let formats = Formats::of_answer(answer);
        assert_eq!(formats.get(111), Some(Format::Media { video: false, codec: None, clock: 48_000 }));
        assert_eq!(formats.get(63), Some(Format::Redundant { clock: 48_000 }));
        let h264 = Some(VideoCodec::H264);
        assert_eq!(formats.get(108), Some(Format::Media { video: true, codec: h264, clock: 90_000 }));
        assert_eq!(formats.get(109), Some(Format::Repair { of: 108 }));
        assert_eq!(formats.get(98), None, "RED of a video is for its own error correction");
        assert_eq!(formats.get(96), None, "refused");
    }

    #[test]
    fn rubbish_names_nothing() {
        let formats =
            Formats::of_answer("m=video 9\r\na=rtpmap:x y\r\na=rtpmap:96 VP8\r\na=fmtp:97 apt=z\r\n");
        assert!(formats.0.is_empty(), "{formats:?}");
    }
}
