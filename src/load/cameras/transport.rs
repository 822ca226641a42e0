//! The `Transport` header (RFC 2326 §12.39): which of the ways that a client offers is taken.
//!
//! Owns its text, both ways. `rtsp_types::headers::Transports` reads it too, but version 0.1.3 panics on
//! `dest_addr="` (headers/transport.rs:233), and a client must not be able to do that.

use std::net::{IpAddr, SocketAddr};

/// How the packets of a track go to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// On the RTSP connection (§10.12), by these channels.
    Interleaved {
        /// Of RTP.
        rtp: u8,
        /// Of RTCP.
        rtcp: u8,
    },
    /// By UDP, to these addresses.
    Udp {
        /// Of RTP.
        rtp: SocketAddr,
        /// Of RTCP.
        rtcp: SocketAddr,
    },
}

impl Way {
    /// The first way in `header` that a camera can go. `client` is the address of the connection, and the
    /// only one that UDP goes to: `destination` would let anybody send media at others. A client that
    /// leaves the channels to us gets `channels`.
    pub fn choose(header: &str, client: IpAddr, channels: (u8, u8)) -> Option<Way> {
        header.split(',').find_map(|offer| Way::parse(offer, client, channels))
    }

    fn parse(offer: &str, client: IpAddr, channels: (u8, u8)) -> Option<Way> {
        let mut parts = offer.split(';').map(str::trim);
        let protocol = parts.next()?.to_ascii_uppercase();
        let mut pair = None;
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name.to_ascii_lowercase().as_str() {
                "multicast" => return None,
                "interleaved" if protocol.ends_with("/TCP") => pair = Some(self::pair(value)?),
                "client_port" if !protocol.ends_with("/TCP") => pair = Some(self::pair(value)?),
                // Recording is not what a camera is asked for.
                "mode" if !value.trim_matches('"').eq_ignore_ascii_case("play") => return None,
                _ => {}
            }
        }
        match protocol.as_str() {
            "RTP/AVP/TCP" => {
                let channels = match pair {
                    Some((rtp, rtcp)) => (u8::try_from(rtp).ok()?, u8::try_from(rtcp).ok()?),
                    None => channels,
                };
                Some(Way::Interleaved { rtp: channels.0, rtcp: channels.1 })
            }
            "RTP/AVP" | "RTP/AVP/UDP" => {
                let (rtp, rtcp) = pair.filter(|&(rtp, rtcp)| rtp > 0 && rtcp > 0)?;
                Some(Way::Udp { rtp: SocketAddr::new(client, rtp), rtcp: SocketAddr::new(client, rtcp) })
            }
            _ => None,
        }
    }

    /// The answer. `server_ports` are those that UDP comes from.
    pub fn describe(self, ssrc: u32, server_ports: (u16, u16)) -> String {
        match self {
            Way::Interleaved { rtp, rtcp } => {
                format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp};ssrc={ssrc:08X};mode=\"PLAY\"")
            }
            Way::Udp { rtp, rtcp } => format!(
                "RTP/AVP;unicast;client_port={}-{};server_port={}-{};ssrc={ssrc:08X};mode=\"PLAY\"",
                rtp.port(),
                rtcp.port(),
                server_ports.0,
                server_ports.1
            ),
        }
    }
}

/// `4588-4589`, or `4588` alone, which means the same.
fn pair(value: &str) -> Option<(u16, u16)> {
    match value.split_once('-') {
        Some((first, second)) => Some((first.trim().parse().ok()?, second.trim().parse().ok()?)),
        None => {
            let first: u16 = value.trim().parse().ok()?;
            Some((first, first.checked_add(1)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn choose(header: &str) -> Option<Way> {
        Way::choose(header, CLIENT, (2, 3))
    }

    fn udp(rtp: u16, rtcp: u16) -> Option<Way> {
        Some(Way::Udp { rtp: (CLIENT, rtp).into(), rtcp: (CLIENT, rtcp).into() })
    }

    #[test]
    fn what_clients_send_is_understood() {
        // retina, ffmpeg, GStreamer (three offers), VLC, and one that lets us choose the channels.
        let channels = |rtp, rtcp| Some(Way::Interleaved { rtp, rtcp });
        assert_eq!(choose("RTP/AVP/TCP;unicast;interleaved=0-1"), channels(0, 1));
        assert_eq!(choose("RTP/AVP/UDP;unicast;client_port=16434-16435"), udp(16_434, 16_435));
        assert_eq!(
            choose(
                "RTP/AVP;unicast;client_port=40010-40011,RTP/AVP;multicast,RTP/AVP/TCP;unicast;interleaved=2-3"
            ),
            udp(40_010, 40_011)
        );
        assert_eq!(choose("RTP/AVP;multicast,RTP/AVP/TCP;unicast;interleaved=2-3"), channels(2, 3));
        assert_eq!(choose("rtp/avp ; unicast ; client_port=5000"), udp(5_000, 5_001));
        assert_eq!(choose("RTP/AVP/TCP;unicast;mode=\"PLAY\""), channels(2, 3));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for header in [
            "",
            "RTP/AVP",
            "RTP/AVP;multicast;port=5000-5001",
            "RTP/SAVP;unicast;client_port=5000-5001",
            "RTP/AVP;unicast;client_port=0-1",
            "RTP/AVP;unicast;client_port=70000-70001",
            "RTP/AVP;unicast;client_port=65535",
            "RTP/AVP/TCP;interleaved=255-256",
            "RTP/AVP/TCP;interleaved=-",
            "RTP/AVP/TCP;unicast;mode=record",
            "RTP/AVP;unicast;dest_addr=\"",
        ] {
            assert_eq!(choose(header), None, "{header}");
        }
    }

    #[test]
    fn media_goes_to_nobody_else() {
        assert_eq!(choose("RTP/AVP;unicast;destination=192.0.2.1;client_port=5000-5001"), udp(5_000, 5_001));
    }
}
