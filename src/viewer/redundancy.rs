//! Whether a viewer is sent its sound twice: each packet with the one before it in front (RED, RFC 2198).
//!
//! Owns that decision, which its reports bring about. Sound that is lost is not sent again, as pictures are: what comes a round
//! trip late a player no longer plays. The one before it in front costs no round trip, and the bitrate of the sound once more,
//! so it is for who loses some. Pure: takes `now` and numbers, about once a second.

use std::time::{Duration, Instant};

/// Loss in one report from which sound goes twice, 0 to 1. At 2 % a player makes up for a lost packet once a second.
/// Lower spends the bytes on what hardly anybody hears; higher leaves more of it to be heard.
const BEGIN: f64 = 0.02;

/// It ends where all reports of a time are below that loss. Lower never ends on a radio that loses a packet now and then;
/// higher ends where losses are rare and come in bursts, and the next one is heard.
const END: f64 = 0.005;

/// That time. Shorter ends between two bursts of a bad radio; longer spends the bytes on a line that is good again.
const GOOD: Duration = Duration::from_secs(30);

/// Who is limited to fewer bytes of pictures a second (500 kbit/s), because its line carries no more, is sent sound once: the
/// second would be an eighth of its pictures and more, and what its line loses it loses because there is too much already. Of
/// a wider limit the bytes are taken from the pictures. Lower takes pictures from those who have the fewest; higher leaves
/// sound with holes to who would not miss the bytes.
const ROOM: u32 = 62_500;

/// What is known of one viewer.
#[derive(Debug, Default)]
pub(super) struct Redundancy {
    is_needed: bool,
    /// Since when its reports are good, while it is needed.
    good_since: Option<Instant>,
}

impl Redundancy {
    /// A report of sound or pictures told of a loss of so much since the last one, 0 to 1.
    pub(super) fn handle_report(&mut self, now: Instant, loss: f64) {
        if loss >= BEGIN {
            self.is_needed = true;
        }
        if loss >= END || !self.is_needed {
            self.good_since = None;
            return;
        }
        let since = *self.good_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= GOOD {
            *self = Redundancy::default();
        }
    }

    /// Whether its sound goes twice, where pictures are limited to `limit` bytes a second.
    pub(super) fn is_on(&self, limit: Option<u32>) -> bool {
        self.is_needed && limit.is_none_or(|limit| limit >= ROOM)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "virtual time has to start somewhere")]
mod tests {
    use super::*;

    /// Reports a second apart. Returns whether it is on behind each.
    fn after(reports: impl IntoIterator<Item = f64>) -> Vec<bool> {
        let (mut now, mut redundancy) = (Instant::now(), Redundancy::default());
        let mut on = |loss: f64| {
            now += Duration::from_secs(1);
            redundancy.handle_report(now, loss);
            redundancy.is_on(None)
        };
        reports.into_iter().map(&mut on).collect()
    }

    #[test]
    fn it_begins_with_one_report_of_loss_and_with_none_below() {
        assert_eq!(after([0.0, 0.019, 0.02, 0.0]), [false, false, true, true]);
        assert!(!after(std::iter::repeat_n(0.019, 1_000)).contains(&true));
    }

    #[test]
    fn it_ends_behind_half_a_minute_of_good_reports_in_a_row() {
        let on = after(std::iter::once(0.05).chain(std::iter::repeat_n(0.004, 40)));
        assert_eq!(on.iter().filter(|on| **on).count(), 31, "{on:?}");
        assert!(on[..31].iter().all(|on| *on));
        // One that is not good begins the half minute anew.
        let good = || std::iter::repeat_n(0.0, 29);
        let on = after(std::iter::once(0.05).chain(good()).chain([0.006]).chain(good()));
        assert!(on.iter().all(|on| *on), "{on:?}");
        // And a bad one turns it on again.
        let on = after(std::iter::once(0.05).chain(std::iter::repeat_n(0.0, 31)).chain([0.03]));
        assert_eq!(on[31..], [false, true]);
    }

    #[test]
    fn who_is_limited_to_little_goes_without() {
        let mut redundancy = Redundancy::default();
        redundancy.handle_report(Instant::now(), 0.1);
        assert_eq!(
            [None, Some(ROOM), Some(ROOM - 1)].map(|limit| redundancy.is_on(limit)),
            [true, true, false]
        );
    }
}
