//! Profiles and levels of H.265 in words (ITU-T H.265 §A.3, §A.4).

/// `general_profile_idc` of Main 10.
pub(super) const MAIN_10: u8 = 2;

/// Profiles that browsers take which take H.265.
pub(super) const COMMON: [u8; 2] = [1, MAIN_10];

/// The profile, and the tier where it is the high one.
pub(super) fn profile([profile, high_tier, _]: [u8; 3]) -> String {
    let name = match profile {
        1 => "Main",
        MAIN_10 => "Main 10 (10 bits)",
        3 => "Main Still Picture",
        4 => "Range Extensions",
        5 => "High Throughput",
        6 => "Multiview",
        7 => "Scalable",
        9 => "Screen Content",
        other => return format!("number {other}"),
    };
    format!("{name}{}", if high_tier == 0 { "" } else { ", high tier" })
}

/// The level, such as 4.1.
pub(super) fn level([_, _, level]: [u8; 3]) -> String {
    format!("{}.{}", level / 30, level % 30 / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_and_levels_have_the_names_of_the_standard() {
        for (id, words) in [
            ([1, 0, 93], "Main 3.1"),
            ([1, 1, 120], "Main, high tier 4.0"),
            ([2, 0, 153], "Main 10 (10 bits) 5.1"),
            ([4, 0, 123], "Range Extensions 4.1"),
            ([0, 0, 186], "number 0 6.2"),
        ] {
            assert_eq!(format!("{} {}", profile(id), level(id)), words);
        }
    }
}
