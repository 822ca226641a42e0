//! Whether whoever comes now gets a picture, and why not, in words.
//!
//! Owns the watch on the keyframes of one session: one that can be forwarded has to come, and again and again.
//! Never reads a clock: time goes by as pictures arrive.

use std::time::{Duration, Instant};

use super::advice::Advice;
use super::brand::Setting;
use super::status::PICTURE_AWAITED;

/// A session without a keyframe for this long is worth a warning.
///
/// Cameras begin a session with one. Behind recorders and other servers it may take a group of pictures, 1 to 10 s.
/// Lowering it warns of those; raising it leaves an operator with a black picture in the dark.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);

/// While it plays, so long without a keyframe is worth a note: whoever loses a packet sees a still picture for
/// as long. Lowering it warns of cameras that are set like this on purpose; raising it leaves that unexplained.
const NEXT_PATIENCE: Duration = Duration::from_secs(30);

/// Keyframes one after another that lack packets before that is told of a stream that plays. One is a loss like
/// others, and the note of losses says so.
const DAMAGED: u32 = 2;

/// What helps keyframes to come whole: they are the largest pictures.
const MEND_LINE: &str = "lower the camera's bitrate, or mend its line";

/// The watch on one session.
#[derive(Debug, Default)]
pub(crate) struct Keyframes {
    /// When the session's first picture came, or the last keyframe that was forwarded.
    since: Option<Instant>,
    /// The newest arrival.
    now: Option<Instant>,
    /// Whether a keyframe was forwarded.
    begun: bool,
    /// Why the last one could not be, if it could not.
    refused: Option<String>,
    /// Keyframes since that one that lacked packets.
    damaged: u32,
}

impl Keyframes {
    /// A keyframe was forwarded.
    pub(crate) fn forwarded(&mut self, received: Instant) {
        *self =
            Keyframes { since: Some(received), now: Some(received), begun: true, refused: None, damaged: 0 };
    }

    /// A keyframe came of which packets are missing.
    pub(crate) fn damaged(&mut self, received: Instant) {
        self.damaged = self.damaged.saturating_add(1);
        self.other(received, None);
    }

    /// A picture came that is none, or is one and was refused for the reason `refused`.
    pub(crate) fn other(&mut self, received: Instant, refused: Option<String>) {
        self.since.get_or_insert(received);
        self.now = Some(received);
        self.refused = refused.or(self.refused.take());
    }

    /// What is wrong, if something is; before the first keyframe there always is.
    pub(crate) fn trouble(&self) -> Option<Advice> {
        let seconds = self.waited().as_secs();
        let remedy = |words: &str| Some(words.to_owned());
        Some(match (&self.refused, self.begun) {
            (Some(why), _) => {
                let what = format!("its keyframes cannot be forwarded: {why}");
                Advice { what, remedy: None, stops: true, setting: None }
            }
            (None, false) if self.now.is_none() => {
                Advice { what: PICTURE_AWAITED.to_owned(), remedy: None, stops: true, setting: None }
            }
            (None, false) if self.damaged > 0 => Advice {
                what: format!("no whole keyframe for {seconds} s: those that come lack packets"),
                remedy: remedy(MEND_LINE),
                stops: true,
                setting: None,
            },
            (None, true) if self.damaged >= DAMAGED => Advice {
                what: "keyframe after keyframe lacks packets: the picture stands until a whole one comes"
                    .to_owned(),
                remedy: remedy(MEND_LINE),
                stops: false,
                setting: None,
            },
            (None, false) => Advice {
                what: format!(
                    "no keyframe for {seconds} s: pictures come, but none that a player can begin with"
                ),
                remedy: remedy(
                    "switch intra refresh off in the camera, or make its keyframe interval shorter",
                ),
                stops: true,
                setting: Some(Setting::Keyframes),
            },
            (None, true) if self.waited() >= NEXT_PATIENCE => Advice {
                what: format!(
                    "no keyframe for {} s: who loses a packet sees a still picture until the next",
                    // Not each second a new sentence.
                    seconds - seconds % NEXT_PATIENCE.as_secs()
                ),
                remedy: remedy("make the camera's keyframe interval shorter"),
                stops: false,
                setting: Some(Setting::Keyframes),
            },
            (None, true) => return None,
        })
    }

    /// Whether the trouble, if there is some, is worth a warning by now.
    pub(crate) fn is_serious(&self) -> bool {
        self.refused.is_some() || self.begun || self.waited() >= FIRST_PATIENCE
    }

    fn waited(&self) -> Duration {
        match (self.since, self.now) {
            (Some(since), Some(now)) => now.saturating_duration_since(since),
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(watch: &Keyframes) -> Option<String> {
        watch.trouble().map(|trouble| trouble.to_string())
    }

    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn epoch() -> Instant {
        Instant::now()
    }

    #[test]
    fn before_the_first_keyframe_there_are_words_and_after_a_while_a_warning() {
        let (start, mut watch) = (epoch(), Keyframes::default());
        assert_eq!(words(&watch).as_deref(), Some("the first picture is awaited"));
        for second in 0..=10 {
            watch.other(start + Duration::from_secs(second), None);
            let words = words(&watch).expect("no keyframe yet");
            assert!(
                words.starts_with(&format!("no keyframe for {second} s: "))
                    && words.contains("intra refresh")
            );
            assert_eq!(watch.is_serious(), second == 10);
        }
        watch.forwarded(start + Duration::from_secs(11));
        assert_eq!(words(&watch), None);
    }

    #[test]
    fn a_keyframe_that_is_refused_is_the_reason_until_one_is_not() {
        let (start, mut watch) = (epoch(), Keyframes::default());
        watch.other(start, Some("too large".to_owned()));
        watch.other(start, None);
        assert_eq!(words(&watch).as_deref(), Some("its keyframes cannot be forwarded: too large"));
        assert!(watch.is_serious());
        watch.forwarded(start);
        assert_eq!(words(&watch), None);
        watch.other(start, Some("too large".to_owned()));
        assert!(words(&watch).is_some(), "it plays, and says what is wrong");
    }

    #[test]
    fn keyframes_that_lack_packets_are_not_blamed_on_the_encoder() {
        let (start, mut watch) = (epoch(), Keyframes::default());
        watch.damaged(start);
        watch.other(start + Duration::from_secs(4), None);
        let why = words(&watch).expect("none was whole");
        assert!(why.starts_with("no whole keyframe for 4 s") && why.contains("bitrate"), "{why}");
        watch.forwarded(start);
        watch.damaged(start);
        assert_eq!(words(&watch), None, "a loss like others");
        watch.damaged(start);
        assert!(words(&watch).is_some_and(|why| why.starts_with("keyframe after keyframe lacks packets")));
        watch.forwarded(start);
        assert_eq!(words(&watch), None);
    }

    #[test]
    fn keyframes_that_stay_away_are_noted_in_long_steps() {
        let (start, mut watch) = (epoch(), Keyframes::default());
        watch.forwarded(start);
        let mut sentences = Vec::new();
        for second in 1..100 {
            watch.other(start + Duration::from_secs(second), None);
            sentences.extend(words(&watch));
        }
        sentences.dedup();
        assert_eq!(sentences.len(), 3, "at 30, 60 and 90 s: {sentences:?}");
        assert!(sentences[0].starts_with("no keyframe for 30 s"));
    }
}
