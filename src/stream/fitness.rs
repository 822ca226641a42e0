//! What browsers cannot show of a video, or show badly, in words that say what to set.
//!
//! Owns the judgement of profile, fields, B pictures and timestamps. Never stops a picture: players that are no browsers may
//! take it.

use super::advice::Advice;
use crate::track::VideoFacts;

/// Profiles that browsers take: Baseline, Main, High (ITU-T H.264 §A.2).
const FIT: [u8; 3] = [66, 77, 100];

/// What is wrong with a video.
pub(crate) fn advice(facts: &VideoFacts) -> Vec<Advice> {
    let advice = |what: String, remedy: &str, stops| Advice { what, remedy: Some(remedy.to_owned()), stops };
    let mut all = Vec::new();
    if facts.b_pictures {
        all.push(advice(
            "B-frames: browsers show these pictures in the wrong order and stutter".to_owned(),
            "set the camera's profile to Baseline, or its B-frames to 0",
            false,
        ));
    }
    if let Some(profile) = facts.profile.filter(|profile| !FIT.contains(profile)) {
        all.push(advice(
            format!("profile {}: many browsers cannot show it", profile_name(profile)),
            "set the camera's profile to Baseline, Main or High",
            true,
        ));
    } else if facts.chroma_format.is_some_and(|format| format != 1) {
        all.push(advice(
            "pictures that are not 4:2:0: many browsers cannot show them".to_owned(),
            "set the camera to colour, 4:2:0",
            true,
        ));
    }
    if facts.interlaced {
        all.push(advice(
            "interlaced pictures: browsers show them with combs, and some not at all".to_owned(),
            "set the camera to progressive",
            false,
        ));
    }
    if facts.by_arrival {
        all.push(advice(
            "the camera's timestamps do not fit its pictures: they are shown by time of arrival, and less evenly"
                .to_owned(),
            "another firmware of the camera may mend it",
            false,
        ));
    }
    all
}

/// The profile of a `profile-level-id` in words (ITU-T H.264 §A.2).
pub(crate) fn profile([profile, constraints, _]: [u8; 3]) -> String {
    let constrained = profile == 66 && constraints & 0x40 != 0;
    format!("{}{}", if constrained { "Constrained " } else { "" }, profile_name(profile))
}

/// Its level, such as 4.0 (§A.3); 1b has two ways to be written.
pub(crate) fn level([profile, constraints, level]: [u8; 3]) -> String {
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

    #[test]
    fn what_browsers_take_has_no_notes_and_all_else_has_one_that_names_the_way_out() {
        for profile in [66, 77, 100] {
            let facts =
                VideoFacts { profile: Some(profile), chroma_format: Some(1), ..VideoFacts::default() };
            assert_eq!(advice(&facts), []);
        }
        assert_eq!(advice(&VideoFacts::default()), [], "what is not known is not blamed");
        for (facts, words) in [
            (VideoFacts { b_pictures: true, ..VideoFacts::default() }, ["B-frames", "B-frames to 0"]),
            (VideoFacts { profile: Some(122), ..VideoFacts::default() }, ["4:2:2", "profile to Baseline"]),
            (VideoFacts { profile: Some(110), ..VideoFacts::default() }, ["10 bits", "profile to Baseline"]),
            (VideoFacts { profile: Some(7), ..VideoFacts::default() }, ["number 7", "profile to Baseline"]),
            (VideoFacts { chroma_format: Some(0), ..VideoFacts::default() }, ["colour", "4:2:0"]),
            (VideoFacts { by_arrival: true, ..VideoFacts::default() }, ["time of arrival", "firmware"]),
            (VideoFacts { interlaced: true, ..VideoFacts::default() }, ["interlaced", "progressive"]),
        ] {
            let notes: Vec<String> = advice(&facts).iter().map(Advice::to_string).collect();
            assert!(notes.iter().all(|note| !note.contains("  ")), "{notes:?}");
            assert!(notes.len() == 1 && words.iter().all(|word| notes[0].contains(word)), "{notes:?}");
        }
    }
}
