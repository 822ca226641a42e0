//! H.264 in session descriptions: its parameters (RFC 6184 §8.1), and which payload type of an offer is taken.

use crate::fmtp::{parameter, parameters};
use crate::shown;

/// Whether parameters are those that only H.264 has (RFC 6184 §8.1). The `profile-level-id` of MPEG-4 is a number of
/// few digits.
pub(super) fn is_meant_by(fmtp: &str) -> bool {
    parameters(fmtp).any(|(name, value)| match name.to_ascii_lowercase().as_str() {
        "packetization-mode" | "sprop-parameter-sets" => true,
        "profile-level-id" => value.len() == 6 && value.bytes().all(|byte| byte.is_ascii_hexdigit()),
        _ => false,
    })
}

/// Packets in an order of their own (RFC 6184 §6.4).
pub(super) fn unreadable(fmtp: &str) -> Option<&'static str> {
    (parameter(fmtp, "packetization-mode") == Some("2")).then_some(
        "its packets are out of decoding order (packetization-mode=2), which is not read: switch interleaving off in \
         the camera",
    )
}

/// The offered H.264 payload type that says most truly what the source sends.
///
/// Browsers decode every profile they can under any of their payload types, and cameras send Main
/// and High; so the profile only sets the preference: the source's own, then Constrained Baseline,
/// then whatever comes first (RFC 6184 §8.2.2 would refuse, and break most cameras).
pub(super) fn choose(offered: &[&str], source: Option<[u8; 3]>) -> Option<usize> {
    let usable = || {
        let in_packets = |fmtp: &&str| parameter(fmtp, "packetization-mode") == Some("1");
        offered.iter().enumerate().filter(move |(_, fmtp)| in_packets(fmtp))
    };
    let profile = |fmtp: &str| -> Option<[u8; 2]> {
        let text = parameter(fmtp, "profile-level-id")?;
        let number = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 6)?;
        Some([(number >> 16) as u8, (number >> 8) as u8])
    };
    let with = |wanted: [u8; 2]| usable().find(|(_, fmtp)| profile(fmtp) == Some(wanted));
    let constrained_baseline = || with([0x42, 0xe0]);
    let own = source.and_then(|[idc, flags, _]| match (idc, flags) {
        // Baseline with constraint_set1: Constrained Baseline, however the other flags are written.
        (0x42, flags) if flags & 0x40 != 0 => constrained_baseline(),
        _ => with([idc, flags])
            .or_else(|| usable().find(|(_, fmtp)| profile(fmtp).is_some_and(|[offered, _]| offered == idc))),
    });
    own.or_else(constrained_baseline).or_else(|| usable().next()).map(|(index, _)| index)
}

/// What keeps an offer from carrying H.264, and what would help.
pub(super) fn lacking(offered: &[&str], others: &str) -> String {
    let wanted = "the stream's video is H264 with packetization-mode=1 (RFC 6184 §6.3)";
    match offered.first().map(|fmtp| parameter(fmtp, "packetization-mode")) {
        None => format!("{wanted}; the offer has no H264 (it has {others})"),
        Some(None) => format!(
            "{wanted}; the offer's H264 says no packetization-mode, which means 0: whole pictures in one \
             packet, and cameras' are larger. Let the player offer packetization-mode=1 in a=fmtp"
        ),
        Some(Some(mode)) => format!(
            "{wanted}; the offer has H264 with packetization-mode={} only{}. Let the player offer \
             packetization-mode=1 in a=fmtp",
            shown(mode),
            if mode == "0" { ", which allows no picture larger than a packet, and cameras' are" } else { "" },
        ),
    }
}
