//! What browsers cannot show of a video, or show badly, in words that say what to set.
//!
//! Owns the judgement of profile, fields, B pictures and timestamps. Never stops a picture: players that are no browsers may
//! take it.

use crate::track::VideoFacts;

/// Profiles that browsers take: Baseline, Main, High (ITU-T H.264 §A.2).
const FIT: [u8; 3] = [66, 77, 100];

/// The notes on a video.
pub(super) fn notes(facts: &VideoFacts) -> Vec<String> {
    let mut notes = Vec::new();
    if facts.b_pictures {
        notes.push(
            "B-frames: browsers show these pictures in the wrong order and stutter; set the camera's profile to Baseline, \
             or its B-frames to 0"
                .to_owned(),
        );
    }
    if let Some(profile) = facts.profile.filter(|profile| !FIT.contains(profile)) {
        let name = profile_name(profile);
        notes.push(format!(
            "profile {name}: many browsers cannot show it; set the camera's profile to Baseline, Main or High"
        ));
    } else if facts.chroma_format.is_some_and(|format| format != 1) {
        notes.push(
            "pictures that are not 4:2:0: many browsers cannot show them; set the camera to colour, 4:2:0"
                .to_owned(),
        );
    }
    if facts.interlaced {
        notes.push(
            "interlaced pictures: browsers show them with combs, and some not at all; set the camera to progressive".to_owned(),
        );
    }
    if facts.by_arrival {
        notes.push(
            "the camera's timestamps do not fit its pictures: they are shown by time of arrival, and less evenly; another              firmware of the camera may mend it"
                .to_owned(),
        );
    }
    notes
}

/// By `profile_idc`.
fn profile_name(profile: u8) -> String {
    let name = match profile {
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
    fn what_browsers_take_has_no_notes_and_all_else_has_one_that_names_the_way_out() {
        for profile in [66, 77, 100] {
            let facts =
                VideoFacts { profile: Some(profile), chroma_format: Some(1), ..VideoFacts::default() };
            assert_eq!(notes(&facts), [""; 0]);
        }
        assert_eq!(notes(&VideoFacts::default()), [""; 0], "what is not known is not blamed");
        for (facts, words) in [
            (VideoFacts { b_pictures: true, ..VideoFacts::default() }, ["B-frames", "B-frames to 0"]),
            (VideoFacts { profile: Some(122), ..VideoFacts::default() }, ["4:2:2", "profile to Baseline"]),
            (VideoFacts { profile: Some(110), ..VideoFacts::default() }, ["10 bits", "profile to Baseline"]),
            (VideoFacts { profile: Some(7), ..VideoFacts::default() }, ["number 7", "profile to Baseline"]),
            (VideoFacts { chroma_format: Some(0), ..VideoFacts::default() }, ["colour", "4:2:0"]),
            (VideoFacts { by_arrival: true, ..VideoFacts::default() }, ["time of arrival", "firmware"]),
            (VideoFacts { interlaced: true, ..VideoFacts::default() }, ["interlaced", "progressive"]),
        ] {
            let notes = notes(&facts);
            assert!(notes.len() == 1 && words.iter().all(|word| notes[0].contains(word)), "{notes:?}");
        }
    }
}
