//! What is said of a camera's media and certificate that does not fit its URL. The same judgement and the same words hold for
//! streams of a configuration and for a camera that is only looked at.

use crate::{Line, Transport};

/// What does not fit. Reads on behind "the camera ", and has to be told with its [`help`](Misfit::help).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Media comes in the line itself, and another way is said.
    #[error("is pulled by {}://, which carries its media, and says `rtsp_transport` = \"{}\"", .0.scheme(), .1.name())]
    Transport(Line, Transport),
    /// Nothing is there to be compared with a fingerprint.
    #[error("has an `rtsp_fingerprint`, and {}:// shows no certificate", .0.scheme())]
    Fingerprint(Line),
}

impl Misfit {
    /// What is wrong with a way of media and a fingerprint for cameras by those lines, of which one is enough that takes it.
    pub fn all(lines: &[Line], transport: Option<Transport>, has_fingerprint: bool) -> Vec<Misfit> {
        let Some(&first) = lines.first() else { return Vec::new() };
        let apart = transport.filter(|way| matches!(way, Transport::Udp | Transport::Multicast));
        let apart = apart.filter(|_| !lines.contains(&Line::Plain)).map(|way| Misfit::Transport(first, way));
        let is_shown = lines.iter().any(|line| line.is_secret());
        let needless = (has_fingerprint && !is_shown).then_some(Misfit::Fingerprint(first));
        apart.into_iter().chain(needless).collect()
    }

    /// The key of a stream that is at fault.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Misfit::Transport(..) => "rtsp_transport",
            Misfit::Fingerprint(_) => "rtsp_fingerprint",
        }
    }

    /// The way out.
    pub fn help(self) -> &'static str {
        match self {
            Misfit::Transport(..) => "leave it out, or pull the camera by rtsp://",
            Misfit::Fingerprint(_) => "pull the camera by rtsps://, or leave it out",
        }
    }
}
