//! What is odd about the packets of a session though it plays, in sentences.
//!
//! Owns how often something has to happen before it is told, and for how long. Never reads a clock: time goes by as
//! packets arrive.

use std::time::{Duration, Instant};

/// What happened this often in a [`WINDOW`] is told. One is an accident.
const OFTEN: u64 = 2;

/// How long it is told after it happened last. Raising it keeps the note of a camera that has mended; lowering it
/// lets the note come and go.
const WINDOW: Duration = Duration::from_secs(60);

/// The oddities of one session.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    /// Of the tracks together: how often the camera began anew, and how many packets others sent.
    restarts: Often,
    foreign: Often,
    told: [bool; 3],
    notes: Vec<String>,
}

/// How often something happened lately.
#[derive(Debug, Default)]
struct Often {
    total: u64,
    count: u64,
    last: Option<Instant>,
}

impl Often {
    /// Takes how often it happened until `now`. Returns whether that is often.
    fn is_often(&mut self, total: u64, now: Instant) -> bool {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) >= WINDOW) {
            (self.count, self.last) = (0, None);
        }
        if total > self.total {
            self.count += total - self.total;
            (self.total, self.last) = (total, Some(now));
        }
        self.count >= OFTEN
    }
}

impl Oddities {
    /// Takes what happened since the session began: restarts, packets of other senders, and whether the numbers of
    /// packets mean nothing. Returns whether there is something else to tell now.
    pub(super) fn look(&mut self, restarts: u64, foreign: u64, unnumbered: bool, now: Instant) -> bool {
        let told = [
            // Numbers that mean nothing look like restarts at first.
            self.restarts.is_often(restarts, now) && !unnumbered,
            self.foreign.is_often(foreign, now),
            unnumbered,
        ];
        if std::mem::replace(&mut self.told, told) == told {
            return false;
        }
        let sentences = [
            "the camera begins its stream anew again and again (another SSRC, or packet numbers set back): each time \
             the picture may stand until the next keyframe; restart the camera, and look for another firmware if this \
             lasts",
            "packets of another sender (SSRC) come between those of the camera's and are left out: let nothing else \
             send to the same port or channel, and restart the camera if it is itself",
            "the numbers of the camera's packets mean nothing, so that losses cannot be told: restart the camera, and \
             look for another firmware if this lasts",
        ];
        let notes = sentences.into_iter().zip(told).filter(|(_, told)| *told);
        self.notes = notes.map(|(sentence, _)| sentence.to_owned()).collect();
        true
    }

    /// What is to be told.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn what_happens_again_and_again_is_told_until_it_is_over() {
        let (start, mut odd) = (Instant::now(), Oddities::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!odd.look(1, 1, false, at(0)), "an accident each");
        assert!(!odd.look(2, 1, false, at(100)), "and another one later");
        assert!(odd.look(3, 1, false, at(110)) && odd.notes()[0].contains("begins its stream anew"));
        assert!(!odd.look(4, 1, false, at(120)));
        assert!(odd.look(4, 3, false, at(130)) && odd.notes()[1].contains("another sender"));
        assert!(odd.look(4, 3, true, at(131)) && odd.notes().len() == 2, "{:?}", odd.notes());
        assert!(odd.look(4, 3, false, at(200)) && odd.notes().is_empty());
    }
}
