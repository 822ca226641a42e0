//! H.265 in session descriptions: its parameters (RFC 7798 §7.1), and which payload type of an offer is taken.

use super::words;
use crate::fmtp::{parameter, parameters};
use crate::shown;

/// Parameters that hold parameter sets.
pub(super) const SETS: [&str; 3] = ["sprop-vps", "sprop-sps", "sprop-pps"];

/// `general_profile_idc` of Main, which a description means that names none.
const MAIN: u8 = 1;

/// Whether parameters are those that only H.265 has.
pub(super) fn is_meant_by(fmtp: &str) -> bool {
    parameters(fmtp).any(|(name, _)| SETS.iter().any(|set| name.eq_ignore_ascii_case(set)))
}

/// Packets with decoding order numbers (DONL), in an order of their own.
pub(super) fn unreadable(fmtp: &str) -> Option<&'static str> {
    let is_out_of_order = |name: &str| {
        let value = parameter(fmtp, name).and_then(|value| value.parse::<u32>().ok());
        value.is_some_and(|value| value > 0)
    };
    ["sprop-max-don-diff", "sprop-depack-buf-nalus"].into_iter().any(is_out_of_order).then_some(
        "its packets are out of decoding order (sprop-max-don-diff), which is not read: switch interleaving off in the \
         camera",
    )
}

/// What a payload type of an offer lets be sent.
struct Offered {
    profile: u8,
    high_tier: bool,
    level: u8,
}

impl Offered {
    /// `None` if it wants several streams (RFC 7798 §7.1, `tx-mode`). What is not said is Main, main tier, level 3.1.
    fn of(fmtp: &str) -> Option<Offered> {
        let number =
            |name, usual| parameter(fmtp, name).map_or(Some(usual), |value| value.parse::<u8>().ok());
        if parameter(fmtp, "tx-mode").is_some_and(|mode| !mode.eq_ignore_ascii_case("SRST")) {
            return None;
        }
        Some(Offered {
            profile: number("profile-id", MAIN)?,
            high_tier: number("tier-flag", 0)? != 0,
            level: number("level-id", 93)?,
        })
    }

    /// Whether a decoder for this takes pictures of `profile`: one for Main 10 takes those of Main (ITU-T H.265 §A.3.3).
    fn takes(&self, profile: u8) -> bool {
        self.profile == profile || profile == MAIN && self.profile == words::MAIN_10
    }
}

/// The offered payload type that says most truly what the source sends: its own profile, then one whose decoders take it.
///
/// Browsers offer what their hardware decodes, so another profile would be a black picture. Tier and level set the
/// preference only: cameras write levels that are far above their pictures.
pub(super) fn choose(offered: &[&str], source: Option<[u8; 3]>) -> Option<usize> {
    let usable = offered.iter().enumerate().filter_map(|(index, fmtp)| Some((index, Offered::of(fmtp)?)));
    let Some([profile, tier, level]) = source else { return usable.map(|(index, _)| index).next() };
    let fitting = usable.filter(|(_, offered)| offered.takes(profile));
    let best = fitting.min_by_key(|(index, offered)| {
        let is_enough = offered.level >= level && (offered.high_tier || tier == 0);
        (offered.profile != profile, !is_enough, *index)
    });
    best.map(|(index, _)| index)
}

/// What keeps an offer from carrying it, and what would help.
pub(super) fn lacking(offered: &[&str], source: Option<[u8; 3]>) -> String {
    let usable: Vec<Offered> = offered.iter().filter_map(|fmtp| Offered::of(fmtp)).collect();
    match (offered, &usable[..], source) {
        ([], ..) => {
            "this camera sends H.265, which this browser cannot play: set it to H.264, or give its second \
                     stream"
                .to_owned()
        }
        ([first, ..], [], _) => format!(
            "the offer has H265 with tx-mode={} only, or with parameters that are no numbers; offer it with \
             tx-mode=SRST (RFC 7798 §7.1)",
            shown(parameter(first, "tx-mode").unwrap_or("SRST"))
        ),
        (_, _, source) => format!(
            "this camera sends H.265 in profile {}, which this browser cannot play: set it to profile Main or to \
             H.264, or give its second stream",
            source.map_or_else(|| "unknown".to_owned(), words::profile)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN_31: Option<[u8; 3]> = Some([1, 0, 93]);
    const MAIN_10_40: Option<[u8; 3]> = Some([2, 0, 120]);

    #[test]
    fn the_profile_decides_and_tier_and_level_prefer() {
        let main = "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST";
        let main_51 = "level-id=153;profile-id=1;tier-flag=0;tx-mode=SRST";
        let main_10 = "level-id=153;profile-id=2;tier-flag=0;tx-mode=SRST";
        for (offered, source, chosen) in [
            (&[main, main_10][..], MAIN_31, Some(0)),
            (&[main_10, main], MAIN_31, Some(1)),
            (&[main_10], MAIN_31, Some(0)),
            (&[main, main_10], MAIN_10_40, Some(1)),
            (&[main], MAIN_10_40, None),
            (&[main, main_51], Some([1, 0, 150]), Some(1)),
            (&[main], Some([1, 1, 186]), Some(0)),
            // Before a picture came, the first; and what says nothing is Main.
            (&[main_10, main], None, Some(0)),
            (&[""], MAIN_31, Some(0)),
            (&["tx-mode=MRST", main], MAIN_31, Some(1)),
            (&["tx-mode=MRMT"], MAIN_31, None),
            (&["profile-id=x"], MAIN_31, None),
            (&[], MAIN_31, None),
        ] {
            assert_eq!(choose(offered, source), chosen, "{offered:?} for {source:?}");
            if chosen.is_none() {
                assert!(!lacking(offered, source).is_empty());
            }
        }
    }

    #[test]
    fn what_is_lacking_is_a_sentence_that_names_the_way_out() {
        assert_eq!(
            lacking(&[], MAIN_31),
            "this camera sends H.265, which this browser cannot play: set it to H.264, or give its second stream"
        );
        assert!(lacking(&["profile-id=1"], MAIN_10_40).contains("in profile Main 10 (10 bits), which"));
        assert!(lacking(&["tx-mode=MRST"], None).contains("tx-mode=MRST only"));
    }

    #[test]
    fn parameters_tell_the_codec_and_what_cannot_be_read() {
        assert!(is_meant_by("profile-id=1; sprop-vps=QAEMAf//; sprop-sps=QgEB; sprop-pps=RAHA"));
        assert!(!is_meant_by("packetization-mode=1;profile-level-id=42e01f") && !is_meant_by(""));
        for (fmtp, fits) in [
            ("", true),
            ("sprop-max-don-diff=0;sprop-depack-buf-nalus=0", true),
            ("sprop-max-don-diff=2", false),
            ("sprop-depack-buf-nalus=1", false),
        ] {
            assert_eq!(unreadable(fmtp).is_none(), fits, "{fmtp}");
        }
    }
}
