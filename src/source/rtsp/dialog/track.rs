//! A track between its choice and its media: what was asked for, and what the camera made of it.

use std::net::Ipv4Addr;

use super::super::message::TransportAnswer;

/// Where a camera sends a track to, once for all who read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::rtsp) struct Group {
    pub(in crate::source::rtsp) address: Ipv4Addr,
    /// Of its packets and reports.
    pub(in crate::source::rtsp) ports: (u16, u16),
    /// Routers that it may pass.
    pub(in crate::source::rtsp) ttl: u8,
}

/// A track to be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source::rtsp) struct Track {
    /// Which section of the description.
    pub(in crate::source::rtsp) media: usize,
    /// Whether the session is worth nothing without it.
    pub(in crate::source::rtsp) essential: bool,
    /// What it is, in words.
    pub(in crate::source::rtsp) name: String,
    /// Our port for its packets, and the one above for its reports, over UDP; or the group's.
    pub(in crate::source::rtsp) port: Option<u16>,
    /// It is asked for as the camera sends it to a group.
    pub(in crate::source::rtsp) shared: bool,
    /// Where the camera sends it to then.
    pub(in crate::source::rtsp) group: Option<Group>,
    /// The channels of its packets and reports: those asked for, then those that the camera chose.
    pub(in crate::source::rtsp) channels: (u8, u8),
    /// The camera's ports, if it named usable ones.
    pub(in crate::source::rtsp) server_port: Option<(u16, u16)>,
    /// The sender of its packets, as the camera says.
    pub(in crate::source::rtsp) ssrc: Option<u32>,
}

impl Track {
    /// A track of section `media`, before anything is known of how it comes.
    pub(in crate::source::rtsp) fn new(media: usize, essential: bool, name: String) -> Track {
        Track {
            media,
            essential,
            name,
            port: None,
            shared: false,
            group: None,
            channels: (0, 1),
            server_port: None,
            ssrc: None,
        }
    }

    /// Takes what the camera chose. What it left out is what was asked for, and channels that another track has
    /// already cannot be this one's.
    pub(super) fn settle(&mut self, answer: &TransportAnswer, group: Option<Group>, before: &[Track]) {
        self.server_port = answer.server_port.filter(|(packets, _)| *packets > 0);
        self.ssrc = answer.ssrc;
        if answer.tcp {
            self.port = None;
        }
        if let Some(group) = group.filter(|_| self.shared) {
            self.group = Some(group);
            self.port = Some(group.ports.0);
        }
        if let Some(chosen) = answer.interleaved
            && !before.iter().any(|track| track.channels.0 == chosen.0)
        {
            self.channels = chosen;
        }
    }
}
