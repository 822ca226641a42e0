//! Profiles and levels of H.264 in words.

/// Profiles that browsers take: Baseline, Main, High (ITU-T H.264 §A.2).
pub(super) const COMMON: [u8; 3] = [66, 77, 100];

/// High 10, and those above it, which may have more than 8 bits.
pub(super) const DEEP: [u8; 4] = [110, 122, 244, 44];

/// The profile of a `profile-level-id` (ITU-T H.264 §A.2).
pub(super) fn profile([profile, constraints, _]: [u8; 3]) -> String {
    let constrained = profile == 66 && constraints & 0x40 != 0;
    format!("{}{}", if constrained { "Constrained " } else { "" }, profile_name(profile))
}

/// Its level, such as 4.0 (§A.3); 1b has two ways to be written.
pub(super) fn level([profile, constraints, level]: [u8; 3]) -> String {
    match level {
        9 => "1b".to_owned(),
        11 if constraints & 0x10 != 0 && matches!(profile, 66 | 77 | 88) => "1b".to_owned(),
        level => format!("{}.{}", level / 10, level % 10),
    }
}

/// By `profile_idc`.
fn profile_name(profile: u8) -> String {
    let name = match profile {
        66 => "Baseline",
        77 => "Main",
        100 => "High",
        88 => "Extended",
        110 => "High 10 (10 bits)",
        122 => "High 4:2:2",
        244 | 44 => "High 4:4:4",
        83 | 86 => "Scalable",
        118 | 128 | 134 | 138 => "Multiview",
        other => return format!("number {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_and_levels_have_the_names_of_the_standard() {
        for (id, words) in [
            ([66, 0xc0, 31], "Constrained Baseline 3.1"),
            ([66, 0, 11], "Baseline 1.1"),
            ([66, 0x10, 11], "Baseline 1b"),
            ([77, 0x40, 30], "Main 3.0"),
            ([100, 0, 40], "High 4.0"),
            ([100, 0x10, 11], "High 1.1"),
            ([122, 0, 52], "High 4:2:2 5.2"),
        ] {
            assert_eq!(format!("{} {}", profile(id), level(id)), words);
        }
    }
}
