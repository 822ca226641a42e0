//! When which viewer wants to be called: a heap with one live entry per viewer.
//!
//! Owns the order of deadlines, cheap at 10,000 viewers: a later deadline is only written down in
//! the viewer's own slot, the heap is touched when one becomes earlier or fires. Never reads a clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines by viewer slot.
#[derive(Debug, Default)]
pub struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Per slot: the deadline wanted, and the earliest entry of the slot in the heap.
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    wanted: Option<Instant>,
    queued: Option<Instant>,
}

impl Deadlines {
    /// Wants `slot` to be called at `deadline`, instead of whatever it wanted before.
    pub fn set(&mut self, slot: usize, deadline: Instant) {
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, Slot::default());
        }
        let entry = &mut self.slots[slot];
        entry.wanted = Some(deadline);
        if entry.queued.is_none_or(|queued| deadline < queued) {
            entry.queued = Some(deadline);
            self.heap.push(Reverse((deadline, slot)));
        }
    }

    /// Forgets `slot`. Its number may be used again.
    pub fn clear(&mut self, slot: usize) {
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.wanted = None;
        }
    }

    /// When [`Deadlines::expired`] may have something at the earliest.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one slot whose deadline has passed. The caller sets its next one.
    pub fn expired(&mut self, now: Instant) -> Option<usize> {
        while let Some(&Reverse((at, slot))) = self.heap.peek() {
            if at > now {
                return None;
            }
            self.heap.pop();
            let entry = &mut self.slots[slot];
            if entry.queued != Some(at) {
                // An earlier entry has been served since: this one is stale.
                continue;
            }
            entry.queued = None;
            match entry.wanted {
                Some(wanted) if wanted <= now => {
                    entry.wanted = None;
                    return Some(slot);
                }
                Some(later) => {
                    entry.queued = Some(later);
                    self.heap.push(Reverse((later, slot)));
                }
                None => {}
            }
        }
        None
    }

    #[cfg(test)]
    fn heap_len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn fires_in_order_and_only_when_due() {
        let t0 = Instant::now();
        let mut deadlines = Deadlines::default();
        deadlines.set(3, t0 + ms(30));
        deadlines.set(1, t0 + ms(10));
        assert_eq!(deadlines.expired(t0), None);
        assert_eq!(deadlines.next(), Some(t0 + ms(10)));
        assert_eq!(deadlines.expired(t0 + ms(40)), Some(1));
        assert_eq!(deadlines.expired(t0 + ms(40)), Some(3));
        assert_eq!(deadlines.expired(t0 + ms(40)), None);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn the_last_wish_counts_whether_earlier_or_later() {
        let t0 = Instant::now();
        let mut deadlines = Deadlines::default();
        deadlines.set(0, t0 + ms(10));
        deadlines.set(0, t0 + ms(50));
        assert_eq!(deadlines.expired(t0 + ms(20)), None, "moved later");
        assert_eq!(deadlines.expired(t0 + ms(50)), Some(0));
        deadlines.set(0, t0 + ms(90));
        deadlines.set(0, t0 + ms(60));
        assert_eq!(deadlines.expired(t0 + ms(60)), Some(0), "moved earlier");
        assert_eq!(deadlines.expired(t0 + ms(100)), None, "and not twice");
    }

    #[test]
    fn a_cleared_slot_never_fires_and_can_be_used_again() {
        let t0 = Instant::now();
        let mut deadlines = Deadlines::default();
        deadlines.set(5, t0 + ms(10));
        deadlines.clear(5);
        assert_eq!(deadlines.expired(t0 + ms(10)), None);
        deadlines.set(5, t0 + ms(20));
        assert_eq!(deadlines.expired(t0 + ms(20)), Some(5));
    }

    #[test]
    fn moving_a_deadline_on_and_on_does_not_grow_the_heap() {
        let t0 = Instant::now();
        let mut deadlines = Deadlines::default();
        for n in 0..100_000 {
            deadlines.set(0, t0 + ms(1_000 + n));
        }
        assert_eq!(deadlines.heap_len(), 1);
        for _ in 0..100 {
            deadlines.set(1, t0);
        }
        assert_eq!(deadlines.heap_len(), 2, "nor does wanting the same again");
    }
}
