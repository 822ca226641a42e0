//! What browsers cannot show of a video, or show badly, in words that say what to set.
//!
//! Owns the judgement of profile, fields, B pictures and timestamps. Never stops a picture: players that are no browsers may
//! take it.

use sluice_media::VideoCodec;
use sluice_media::nal::VideoFacts;

use super::advice::Advice;
use super::brand::{Brand, Setting};

/// What is wrong with a video of a camera of `brand`, if that is known.
pub(crate) fn advice(codec: VideoCodec, facts: &VideoFacts, brand: Option<Brand>) -> Vec<Advice> {
    let advice = |what: String, remedy: &str, stops| Advice {
        what,
        remedy: Some(remedy.to_owned()),
        stops,
        setting: None,
    };
    let about = |setting, advice| Advice { setting: Some(setting), ..advice };
    let (common, without_b) = codec.nal().common();
    let mut all = Vec::new();
    if !codec.nal().is_everywhere() {
        let what = format!("{}: only browsers play it that have a decoder for it", codec.encoding_name());
        let remedy = format!("set the camera to {}, or give its second stream", VideoCodec::WANTED);
        all.push(about(Setting::Codec, advice(what, &remedy, false)));
    }
    if facts.b_pictures {
        let what = "B-frames: browsers show these pictures in the wrong order and stutter".to_owned();
        let remedy = match without_b {
            Some(profile) => format!("set the camera's profile to {profile}, or its B-frames to 0"),
            None => "set the camera's B-frames to 0".to_owned(),
        };
        all.push(about(Setting::BFrames, advice(what, &remedy, false)));
    }
    if let Some(profile) = facts.profile_level_id.filter(|[profile, ..]| !codec.nal().is_common(*profile)) {
        let (name, _) = codec.nal().profile_name(profile);
        all.push(advice(
            format!("profile {name}: many browsers cannot show it"),
            &format!("set the camera's profile to {common}"),
            true,
        ));
    } else if let Some(profile) = facts.profile_level_id.filter(|[profile, ..]| codec.nal().is_deep(*profile))
    {
        let (name, _) = codec.nal().profile_name(profile);
        all.push(advice(
            format!("profile {name}: not every browser that plays {} can show it", codec.encoding_name()),
            &format!("set the camera's profile to {common}, or its pictures to 8 bits"),
            false,
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
    all.into_iter().map(|advice| advice.for_brand(brand)).collect()
}

/// As [`advice`], of a layer of a pair: its second stream is given already, and is there for who cannot play this one.
pub(crate) fn advice_in_pair(codec: VideoCodec, facts: &VideoFacts, brand: Option<Brand>) -> Vec<Advice> {
    let mut all = advice(codec, facts, brand);
    if let Some(of_codec) = all.first_mut().filter(|_| !codec.nal().is_everywhere()) {
        of_codec.remedy = Some(format!(
            "the others are shown the other layer of the pair, if that is {}",
            VideoCodec::WANTED
        ));
        of_codec.setting = None;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b_frames_are_named_with_the_menu_of_the_brand_where_that_is_known() {
        let facts = VideoFacts { b_pictures: true, ..VideoFacts::default() };
        let words = |brand| advice(VideoCodec::H264, &facts, brand)[0].to_string();
        let general = words(None);
        assert!(general.ends_with("set the camera's profile to Baseline, or its B-frames to 0"), "{general}");
        let entry = " (Dahua: Camera > Video > Encode Mode H.264B)";
        assert_eq!(words(Some(Brand::Dahua)), format!("{general}{entry}"));
        assert_eq!(words(Some(Brand::TpLink)), general, "a menu that is not known is not made up");
    }

    #[test]
    fn what_browsers_take_has_no_notes_and_all_else_has_one_that_names_the_way_out() {
        for profile in [66, 77, 100] {
            let facts = VideoFacts {
                profile_level_id: Some([profile, 0, 40]),
                chroma_format: Some(1),
                ..VideoFacts::default()
            };
            assert_eq!(advice(VideoCodec::H264, &facts, None), []);
        }
        assert_eq!(
            advice(VideoCodec::H264, &VideoFacts::default(), None),
            [],
            "what is not known is not blamed"
        );
        for (profile, notes) in [(1, 1), (2, 2), (4, 2)] {
            let facts = VideoFacts { profile_level_id: Some([profile, 0, 93]), ..VideoFacts::default() };
            let advice = advice(VideoCodec::H265, &facts, None);
            assert_eq!(advice.len(), notes, "{advice:?}");
            assert!(advice[0].to_string().contains("set the camera to H.264, or give its second stream"));
            let in_pair = advice_in_pair(VideoCodec::H265, &facts, None);
            assert!(in_pair[0].to_string().contains("shown the other layer of the pair, if that is H.264"));
            assert_eq!(in_pair[1..], advice[1..]);
        }
        for (facts, words) in [
            (VideoFacts { b_pictures: true, ..VideoFacts::default() }, ["B-frames", "B-frames to 0"]),
            (
                VideoFacts { profile_level_id: Some([122, 0, 40]), ..VideoFacts::default() },
                ["4:2:2", "profile to Baseline"],
            ),
            (
                VideoFacts { profile_level_id: Some([110, 0, 40]), ..VideoFacts::default() },
                ["10 bits", "profile to Baseline"],
            ),
            (
                VideoFacts { profile_level_id: Some([7, 0, 40]), ..VideoFacts::default() },
                ["number 7", "profile to Baseline"],
            ),
            (VideoFacts { chroma_format: Some(0), ..VideoFacts::default() }, ["colour", "4:2:0"]),
            (VideoFacts { by_arrival: true, ..VideoFacts::default() }, ["time of arrival", "firmware"]),
            (VideoFacts { interlaced: true, ..VideoFacts::default() }, ["interlaced", "progressive"]),
        ] {
            let notes: Vec<String> =
                advice(VideoCodec::H264, &facts, None).iter().map(Advice::to_string).collect();
            assert!(notes.iter().all(|note| !note.contains("  ")), "{notes:?}");
            assert!(notes.len() == 1 && words.iter().all(|word| notes[0].contains(word)), "{notes:?}");
        }
    }
}
