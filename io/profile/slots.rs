//! Where signal handlers leave what they saw: a fixed number of places, without locks.
//!
//! Owns the order in which a place is written and read. A handler takes the next place or counts a loss; the one reader
//! gives places back. Nothing here allocates after [`Slots::new`].

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::stack::DEPTH_MAX;

/// Places. Each is 800 bytes; at 99 samples a second and thread, read ten times a second, they suffice for 200 busy
/// threads.
const COUNT: usize = 2_048;

const FREE: u32 = 0;
const WRITING: u32 = 1;
const FULL: u32 = 2;

/// One sample as a handler leaves it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) thread: i32,
    /// How many samples this stands for: those that the timer could not deliver in time, and this.
    pub(crate) weight: u32,
    pub(crate) in_kernel: bool,
    pub(crate) depth: usize,
    pub(crate) frames: [usize; DEPTH_MAX],
}

struct Place {
    state: AtomicU32,
    slot: UnsafeCell<Slot>,
}

/// All places.
pub(crate) struct Slots {
    places: Box<[Place]>,
    next: AtomicUsize,
    lost: AtomicU64,
}

// SAFETY: a place's slot is touched only by whoever moved its state away from FREE (a handler) or found it FULL (the
// reader, which is one: `take` needs `&mut Sampler`, of which there is one).
unsafe impl Sync for Slots {}

impl Slots {
    pub(crate) fn new() -> Slots {
        let empty = Slot { thread: 0, weight: 0, in_kernel: false, depth: 0, frames: [0; DEPTH_MAX] };
        let place = || Place { state: AtomicU32::new(FREE), slot: UnsafeCell::new(empty) };
        Slots {
            places: std::iter::repeat_with(place).take(COUNT).collect(),
            next: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// Writes the next place, for a handler.
    pub(crate) fn put(&self, write: impl FnOnce(&mut Slot)) {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % COUNT;
        let place = &self.places[at];
        if place.state.compare_exchange(FREE, WRITING, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // SAFETY: WRITING is ours alone.
        write(unsafe { &mut *place.slot.get() });
        place.state.store(FULL, Ordering::Release);
    }

    /// Shows all that is there, and forgets it.
    pub(crate) fn take(&self, mut show: impl FnMut(&Slot)) {
        for place in &self.places {
            if place.state.load(Ordering::Acquire) == FULL {
                // SAFETY: FULL is the reader's alone.
                show(unsafe { &*place.slot.get() });
                place.state.store(FREE, Ordering::Release);
            }
        }
    }

    /// Samples that found no place since this was last asked.
    pub(crate) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_place_is_counted_and_the_rest_is_shown_once() {
        let slots = Slots::new();
        for thread in 0..COUNT as i32 + 3 {
            slots.put(|slot| slot.thread = thread);
        }
        let mut threads = Vec::new();
        slots.take(|slot| threads.push(slot.thread));
        assert_eq!(threads, (0..COUNT as i32).collect::<Vec<_>>());
        assert_eq!((slots.take_lost(), slots.take_lost()), (3, 0));
        slots.take(|slot| panic!("{slot:?} was shown before"));
        slots.put(|slot| slot.thread = -1);
        slots.take(|slot| threads.push(slot.thread));
        assert_eq!(threads.last(), Some(&-1));
    }
}
