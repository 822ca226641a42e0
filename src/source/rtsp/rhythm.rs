//! When the next picture of a camera comes, and how many bytes tell it from sound.
//!
//! Owns for how long sound may lie in the kernel, so that a picture brings it along: a wake-up costs more than what is done with
//! a packet, and sound comes fifty times a second. A picture is not delayed: it is what ends the wait. Never reads a clock.

use std::time::{Duration, Instant};

/// Pictures that are remembered. More takes longer to learn that pictures have become larger, fewer takes the least of
/// them for the least there is.
const PICTURES: usize = 16;

/// Of them the soonest and the latest that do not count: a machine that is busy for a moment has one come late and the next too
/// soon. More waits for pictures that seldom come in time, fewer gives up where one of [`PICTURES`] is late.
const ODD: usize = 3;

/// Bytes of pictures that do not count as a part of one: delimiters and parameter sets, which encoders give away before they have
/// the picture. More could be one.
const HERALD: u32 = 128;

/// How old sound may get, at most. Longer lets it wait for the pictures of slower cameras, and has players hold more of it.
const REST: Duration = Duration::from_millis(45);

/// How much later than it was before a picture may come and still be waited for.
const SLACK: Duration = Duration::from_millis(2);

/// What ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rest {
    /// So many bytes: no sound is so long, and no picture so short.
    pub(super) bytes: u32,
    /// This moment, whatever came.
    pub(super) until: Instant,
}

/// A picture that came.
#[derive(Debug, Clone, Copy, Default)]
struct Came {
    /// Bytes of its packets.
    bytes: u32,
    /// Bytes of other packets since the picture before.
    beside: u32,
    /// How long after the picture before it was whole.
    after: Duration,
}

/// The pictures of a session.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    /// When the last one was whole.
    last: Option<Instant>,
    /// What came of the next one, and besides.
    next: Came,
    came: [Came; PICTURES],
    /// Pictures that were noted, ever.
    count: usize,
    /// From how many bytes on a wait ended last. It stays while it will do, for each change costs a call.
    mark: u32,
}

impl Rhythm {
    /// A packet came, of a picture or something else.
    pub(super) fn packet(&mut self, is_picture: bool, bytes: usize) {
        let sum = if is_picture { &mut self.next.bytes } else { &mut self.next.beside };
        *sum = sum.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// A picture is whole, which was read at `received`.
    pub(super) fn picture(&mut self, received: Instant) {
        let mut came = std::mem::take(&mut self.next);
        if let Some(last) = self.last.replace(received) {
            came.after = received.saturating_duration_since(last);
            self.came[self.count % PICTURES] = came;
            self.count += 1;
        }
    }

    /// What ends a wait for the next picture that begins `now`. Nothing to wait for if a part of it is there, if they are no
    /// larger than sound, or come as they please.
    pub(super) fn rest(&mut self, now: Instant) -> Option<Rest> {
        let last = self.last.filter(|_| self.next.bytes <= HERALD && self.count >= PICTURES)?;
        let of = |figure: fn(&Came) -> u32| self.came.iter().map(figure);
        let (least, most) = (of(|came| came.bytes).min()?, of(|came| came.beside).max()?);
        let mut times = self.came.map(|came| came.after);
        times.sort_unstable();
        let (soonest, latest) = (times[ODD], times[PICTURES - 1 - ODD]);
        let until = last + (latest + SLACK).min(REST);
        let is_worth_it = most > 0 && most < least / 2 && latest < soonest * 3 && until > now;
        is_worth_it.then(|| Rest { bytes: self.mark(most, least), until })
    }

    /// More than `most`, and less than `least`.
    fn mark(&mut self, most: u32, least: u32) -> u32 {
        if self.mark <= most || !(least / 2..least).contains(&self.mark) {
            self.mark = least / 4 * 3;
        }
        self.mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Duration = Duration::from_millis(40);

    /// Pictures of those sizes, each behind two packets of sound of `sound` bytes.
    fn after(start: Instant, pictures: impl IntoIterator<Item = usize>, sound: usize) -> (Rhythm, Instant) {
        let (mut rhythm, mut now) = (Rhythm::default(), start);
        for bytes in pictures {
            now += PICTURE;
            rhythm.packet(false, sound);
            rhythm.packet(false, sound);
            rhythm.packet(true, bytes);
            rhythm.picture(now);
        }
        (rhythm, now)
    }

    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn sound_waits_for_the_picture_that_is_due() {
        let (mut rhythm, now) = after(start(), [6_000; PICTURES + 1], 170);
        assert_eq!(rhythm.rest(now), Some(Rest { bytes: 4_500, until: now + PICTURE + SLACK }));
        assert_eq!(rhythm.rest(now + PICTURE + SLACK), None, "it is late");
        let (mut early, now) = after(start(), [6_000; PICTURES], 170);
        assert_eq!(early.rest(now), None, "too little is known");
    }

    #[test]
    fn the_least_picture_decides_and_no_picture_is_waited_for_that_sound_could_hide() {
        let sizes = (0..PICTURES + 1).map(|index| if index == 5 { 900 } else { 6_000 });
        let (mut rhythm, now) = after(start(), sizes, 170);
        assert_eq!(rhythm.rest(now).map(|rest| rest.bytes), Some(675));
        let (mut rhythm, now) = after(start(), [600; PICTURES + 1], 170);
        assert_eq!(rhythm.rest(now), None);
        let (mut rhythm, now) = after(start(), [6_000; PICTURES + 1], 0);
        assert_eq!(rhythm.rest(now), None, "nothing would wake anybody");
    }

    /// Pictures that come after pauses of so many milliseconds.
    fn paced(pauses: impl IntoIterator<Item = u64>) -> (Rhythm, Instant) {
        let (mut rhythm, mut now) = after(start(), [6_000], 170);
        for pause in pauses {
            now += Duration::from_millis(pause);
            rhythm.packet(false, 170);
            rhythm.packet(true, 6_000);
            rhythm.picture(now);
        }
        (rhythm, now)
    }

    #[test]
    fn what_has_begun_is_not_waited_for() {
        let (mut rhythm, now) = after(start(), [6_000; PICTURES + 1], 170);
        rhythm.packet(false, 170);
        assert!(rhythm.rest(now).is_some());
        rhythm.packet(true, 14);
        assert!(rhythm.rest(now).is_some(), "a delimiter that went ahead");
        rhythm.packet(true, 1_200);
        assert_eq!(rhythm.rest(now), None);
    }

    #[test]
    fn what_comes_as_it_pleases_is_not_waited_for_but_some_may_be_late() {
        let (mut rhythm, now) = paced([40, 160].repeat(PICTURES / 2));
        assert_eq!(rhythm.rest(now), None);
        // Two are late, and the next ones so much the sooner.
        let (mut rhythm, now) = paced([40, 40, 75, 5, 40, 40, 40, 79, 1, 40, 40, 40, 40, 40, 40, 40]);
        assert_eq!(rhythm.rest(now).map(|rest| rest.until), Some(now + PICTURE + SLACK));
    }

    #[test]
    fn the_mark_stays_while_it_will_do() {
        let marks: Vec<Option<u32>> = [6_000, 5_000, 4_000, 3_000, 20_000]
            .map(|size| {
                let (mut rhythm, now) = after(start(), [6_000; PICTURES + 1], 170);
                assert!(rhythm.rest(now).is_some());
                let mut now = now;
                for _ in 0..PICTURES {
                    now += PICTURE;
                    rhythm.packet(false, 170);
                    rhythm.packet(true, size);
                    rhythm.picture(now);
                }
                rhythm.rest(now).map(|rest| rest.bytes)
            })
            .into();
        assert_eq!(marks, [Some(4_500), Some(4_500), Some(3_000), Some(2_250), Some(15_000)]);
    }

    #[test]
    fn sound_gets_no_older_than_that_however_slow_the_pictures_are() {
        let (mut rhythm, mut now) = (Rhythm::default(), start());
        for _ in 0..=PICTURES {
            now += PICTURE * 10;
            rhythm.packet(false, 170);
            rhythm.packet(true, 6_000);
            rhythm.picture(now);
        }
        assert_eq!(rhythm.rest(now).map(|rest| rest.until), Some(now + REST));
        assert_eq!(rhythm.rest(now + REST), None);
    }
}
