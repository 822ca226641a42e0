//! Whether a stream needs somebody's attention, why, and since when: what the start page counts and marks.
//!
//! Owns the judgement, looked at once a second. Never reads a clock, and changes nothing of the stream.

use std::time::{Duration, Instant, SystemTime};

/// Time that a source may take to show its first picture. Raising it hides cameras that do not come; lowering
/// it calls those trouble that only start.
const START: Duration = Duration::from_secs(10);

/// Time without a picture, or without a keyframe to begin at, until it is called trouble. Raising it hides what
/// viewers see already; lowering it calls for attention at every pause of a camera.
const SILENCE: Duration = Duration::from_secs(10);

/// What is wrong with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Its source is not connected.
    Away,
    /// It is connected and sends no pictures.
    Silent,
    /// It sends pictures, but none at which a player can begin.
    NoKeyframe,
    /// It has video that is not forwarded, and no other.
    NoVideo,
}

impl Trouble {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Trouble::Away => "away",
            Trouble::Silent => "silent",
            Trouble::NoKeyframe => "no_keyframe",
            Trouble::NoVideo => "no_video",
        }
    }
}

/// What a look at a stream finds.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Its source is not to be connected: nobody wants it.
    pub idle: bool,
    /// Its source is connected.
    pub playing: bool,
    /// Its source failed, and was not connected again yet.
    pub failed: bool,
    /// It has video.
    pub video: bool,
    /// It has video, and none that is forwarded.
    pub left_out: bool,
    /// When its newest picture came.
    pub newest: Option<Instant>,
    /// A player can begin now.
    pub startable: bool,
}

/// What was found so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watch {
    /// What its source did at the last look, and since when.
    doing: Option<(Doing, Instant)>,
    /// When a player could begin last.
    startable: Option<Instant>,
    /// Since when its source is connected, is not, or is not to be.
    pub since: Option<SystemTime>,
    /// What is wrong with it.
    pub trouble: Option<Trouble>,
}

/// What a source does, as far as it counts here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Rests,
    Plays,
    Tries,
}

impl Watch {
    /// Looks; `now` and `date` are the same moment.
    pub fn look(&mut self, now: Instant, date: SystemTime, seen: Seen) {
        let doing = match seen {
            Seen { idle: true, .. } => Doing::Rests,
            Seen { playing: true, .. } => Doing::Plays,
            _ => Doing::Tries,
        };
        let since = match self.doing {
            Some((before, since)) if before == doing => since,
            _ => {
                self.doing = Some((doing, now));
                self.since = Some(date);
                now
            }
        };
        if seen.startable {
            self.startable = Some(now);
        }
        let lasts = now.saturating_duration_since(since);
        // What was before the source connected does not count against it.
        let without =
            |last: Option<Instant>| now.saturating_duration_since(last.map_or(since, |at| at.max(since)));
        self.trouble = if seen.idle {
            None
        } else if !seen.playing {
            (seen.failed || lasts >= START).then_some(Trouble::Away)
        } else if !seen.video {
            seen.left_out.then_some(Trouble::NoVideo)
        } else if without(seen.newest) >= SILENCE {
            Some(Trouble::Silent)
        } else if without(self.startable) >= SILENCE {
            Some(Trouble::NoKeyframe)
        } else {
            None
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Seen = Seen {
        idle: false,
        playing: true,
        failed: false,
        video: true,
        left_out: false,
        newest: None,
        startable: true,
    };
    const AWAY: Seen = Seen { playing: false, startable: false, ..GOOD };

    struct Case {
        began: Instant,
        watch: Watch,
    }

    impl Case {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
        fn new() -> Case {
            Case { began: Instant::now(), watch: Watch::default() }
        }

        /// What is wrong at second `at`, when the newest picture is from `newest`.
        fn at(&mut self, at: u64, seen: Seen, newest: Option<u64>) -> Option<Trouble> {
            let moment = |second| self.began + Duration::from_secs(second);
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
            self.watch.look(moment(at), date, Seen { newest: newest.map(moment), ..seen });
            self.watch.trouble
        }

        fn since(&self) -> u64 {
            let since = self.watch.since.expect("a look");
            since.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
        }
    }

    #[test]
    fn a_camera_may_take_its_time_to_start_but_not_to_come_back() {
        let mut case = Case::new();
        assert_eq!(case.at(0, AWAY, None), None);
        assert_eq!(case.at(9, AWAY, None), None);
        assert_eq!(case.at(10, AWAY, None), Some(Trouble::Away));
        assert_eq!((case.at(11, GOOD, Some(11)), case.since()), (None, 11));
        assert_eq!(case.at(20, Seen { failed: true, ..AWAY }, Some(19)), Some(Trouble::Away));
        assert_eq!(case.at(25, Seen { failed: true, ..AWAY }, Some(19)), Some(Trouble::Away));
        assert_eq!(case.since(), 20);
    }

    #[test]
    fn a_camera_that_nobody_wants_is_no_trouble_and_has_its_time_again_once_somebody_does() {
        let mut case = Case::new();
        let idle = Seen { idle: true, ..AWAY };
        assert_eq!(case.at(0, idle, None), None);
        assert_eq!((case.at(1_000, idle, None), case.since()), (None, 0));
        assert_eq!((case.at(1_001, AWAY, None), case.since()), (None, 1_001));
        assert_eq!(case.at(1_011, AWAY, None), Some(Trouble::Away));
        assert_eq!((case.at(1_012, idle, None), case.since()), (None, 1_012));
    }

    #[test]
    fn pictures_have_to_come() {
        let mut case = Case::new();
        assert_eq!(case.at(0, AWAY, None), None);
        // Connected, and the pictures that are there are from before.
        let waits = Seen { startable: false, ..GOOD };
        assert_eq!(case.at(100, waits, Some(1)), None);
        assert_eq!(case.at(109, waits, Some(1)), None);
        assert_eq!(case.at(110, waits, Some(1)), Some(Trouble::Silent));
        assert_eq!(case.at(111, GOOD, Some(111)), None);
        assert_eq!(case.at(120, GOOD, Some(111)), None);
        assert_eq!(case.at(121, GOOD, Some(111)), Some(Trouble::Silent));
    }

    #[test]
    fn a_player_has_to_find_a_keyframe() {
        let mut case = Case::new();
        let cut = Seen { startable: false, ..GOOD };
        assert_eq!(case.at(0, GOOD, Some(0)), None);
        assert_eq!(case.at(9, cut, Some(9)), None);
        assert_eq!(case.at(10, cut, Some(10)), Some(Trouble::NoKeyframe));
        assert_eq!(case.at(11, GOOD, Some(11)), None);
        assert_eq!(case.at(20, cut, Some(20)), None);
    }

    #[test]
    fn sound_alone_is_no_trouble_unless_there_were_pictures_that_are_left_out() {
        let mut case = Case::new();
        let sound = Seen { video: false, startable: false, ..GOOD };
        assert_eq!(case.at(0, sound, None), None);
        assert_eq!(case.at(100, sound, None), None);
        assert_eq!(case.at(101, Seen { left_out: true, ..sound }, None), Some(Trouble::NoVideo));
    }
}
