//! Cameras that number the packets of all their tracks with one counter.
//!
//! Owns the belief in it. Inside a connection packets come as they were sent, so that such a camera's numbers follow
//! each other from track to track; the gaps in each track alone are then no losses.

/// Changes from track to track that have to fit before it is believed. Fewer may be an accident; until then each
/// gap counts as a loss.
const ENOUGH: u8 = 4;

/// Evidence that is kept at most: what does not fit takes two away, so that a real loss now and then does not end
/// the belief.
const MOST: u8 = 12;

/// The numbers of a session as they came.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The track of the last packet, and its number.
    last: Option<(usize, u16)>,
    evidence: u8,
}

impl Numbers {
    /// Takes the number of a packet of `track`: how many are missing before it, if one counter is believed in.
    pub(super) fn missing(&mut self, track: usize, number: u16) -> Option<u16> {
        let (last_track, last) = self.last.replace((track, number))?;
        let missing = number.wrapping_sub(last).wrapping_sub(1);
        if track != last_track {
            self.evidence = match missing {
                0 => (self.evidence + 1).min(MOST),
                _ => self.evidence.saturating_sub(2),
            };
        }
        (self.evidence >= ENOUGH).then_some(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_counter_is_believed_after_some_changes_and_counters_of_their_own_never() {
        let mut numbers = Numbers::default();
        let tracks = [0, 0, 1, 0, 1, 0, 0, 1, 0];
        let missing: Vec<Option<u16>> =
            (65_530..).zip(tracks).map(|(number, track)| numbers.missing(track, number as u16)).collect();
        assert_eq!(missing, [None, None, None, None, None, Some(0), Some(0), Some(0), Some(0)]);
        // A real loss is one.
        assert_eq!(numbers.missing(1, 8), Some(5));
        assert_eq!(numbers.missing(0, 9), Some(0));

        let mut numbers = Numbers::default();
        for number in 0..1_000 {
            assert_eq!(numbers.missing(0, number * 2), None);
            assert_eq!(numbers.missing(0, number * 2 + 1), None);
            assert_eq!(numbers.missing(1, number), None);
        }
    }
}
