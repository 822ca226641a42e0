//! Why nothing of use comes: what came instead, and in which words that is told.
//!
//! Owns the judgement over the packets since the last picture. Never knows a packet, nor the deadline.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sluice_config::Transport;
use sluice_media::nal::LeftOut;

/// What came while nothing came that is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    Nothing,
    /// Packets of somebody else to the ports of the session.
    Elsewhere(IpAddr),
    /// Its sender said that it ends.
    Ended,
    /// Pictures that lack packets.
    Damaged,
    /// Pictures without their first slice.
    Headless,
    /// Packets of another kind than announced.
    Strangers,
    /// Packets without any slice.
    NoPicture,
}

/// What came and was no use, since a session began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Useless {
    /// Packets that got to a track, useful ones among them.
    pub(super) packets: u64,
    /// Those that belong to no track, or are not what was announced.
    pub(super) strangers: u64,
    /// Pictures that were not handed out.
    pub(super) left_out: LeftOut,
    /// When any of that came last.
    pub(super) newest: Option<Instant>,
}

impl Useless {
    /// What came since it was `before`, when nothing of use has come for `limit` until `now`. A camera whose encoder hangs
    /// may send a little sound behind its last picture: if nothing came in the second half of that time, nothing does.
    pub(super) fn since(&self, before: &Useless, limit: Duration, now: Instant) -> Silence {
        let goes_on = self.newest.is_some_and(|newest| now.saturating_duration_since(newest) * 2 < limit);
        let damaged = self.left_out.damaged - before.left_out.damaged;
        let headless = self.left_out.headless - before.left_out.headless;
        let strangers = self.strangers - before.strangers;
        match () {
            () if self.packets == before.packets && strangers == 0 => Silence::Nothing,
            () if damaged > headless => Silence::Damaged,
            () if headless > 0 => Silence::Headless,
            () if strangers > 0 => Silence::Strangers,
            () if goes_on => Silence::NoPicture,
            () => Silence::Nothing,
        }
    }
}

impl Silence {
    /// In a sentence behind "sent no whole picture for 10 s".
    pub(super) fn hint(self, transport: Transport) -> String {
        let hint = match self {
            Silence::Elsewhere(address) => {
                return format!(
                    ", though packets came from {address}: only the address of the source URL is listened to. Put \
                     that one into it, or set its rtsp_transport to tcp"
                );
            }
            Silence::Ended => {
                ": it said that its stream ends (RTCP BYE). Does it restart, or play something back that is over?"
            }
            Silence::Damaged if transport != Transport::Tcp => {
                ", though pictures came: packets of each are missing. Try its rtsp_transport tcp, or lower its bitrate"
            }
            Silence::Damaged => {
                ", though pictures came: packets of each are missing. Lower its bitrate or mend its line"
            }
            Silence::Headless => {
                ", though packets came: no picture among them has a beginning. If it sends them out of decoding order, \
                 switch interleaving off in the camera; otherwise restart it"
            }
            Silence::Strangers => {
                ", though packets came: they are not what its session description announced"
            }
            Silence::NoPicture => ", though packets came: none brings a picture. Does its encoder still run?",
            Silence::Nothing if transport == Transport::Multicast => {
                ": do the switches and routers between pass its group on (IGMP)? Try its rtsp_transport tcp"
            }
            Silence::Nothing if transport != Transport::Tcp => {
                ": does a firewall drop its UDP packets? Try its rtsp_transport tcp"
            }
            Silence::Nothing => ": does its encoder still run?",
        };
        hint.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(3);

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn what_came_since_the_last_picture_is_blamed_and_nothing_before() {
        let now = Instant::now();
        let out = |damaged, headless| LeftOut { damaged, headless, ..LeftOut::default() };
        let before = Useless { packets: 900, strangers: 40, left_out: out(7, 3), newest: Some(now) };
        let came = |packets, strangers, damaged, headless| {
            let left_out = out(before.left_out.damaged + damaged, before.left_out.headless + headless);
            let (packets, strangers) = (before.packets + packets, before.strangers + strangers);
            Useless { packets, strangers, left_out, newest: Some(now) }
        };
        for (came, expected) in [
            (came(0, 0, 0, 0), Silence::Nothing),
            // A sound that goes on, parameter sets alone.
            (came(50, 0, 0, 0), Silence::NoPicture),
            (came(50, 1, 0, 0), Silence::Strangers),
            (came(0, 50, 0, 0), Silence::Strangers),
            (came(50, 1, 2, 1), Silence::Damaged),
            // A few losses beside pictures that never begin.
            (came(50, 1, 2, 20), Silence::Headless),
        ] {
            assert_eq!(came.since(&before, LIMIT, now), expected, "{came:?}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn what_ended_with_the_pictures_is_not_blamed() {
        let (began, before) = (Instant::now(), Useless { packets: 900, ..Useless::default() });
        let after = |ms| {
            let newest = Some(began + Duration::from_millis(ms));
            Useless { packets: 902, newest, ..before }.since(&before, LIMIT, began + LIMIT)
        };
        // Two packets of sound behind the last picture, and a sound that goes on.
        assert_eq!((after(25), after(2_990)), (Silence::Nothing, Silence::NoPicture));
        assert_eq!(Useless::default().since(&Useless::default(), LIMIT, began), Silence::Nothing);
    }
}
