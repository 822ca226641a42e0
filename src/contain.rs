//! Panics that end where they happen, and locks that outlive them.
//!
//! Owns the two rules: whoever catches a panic must not panic again by dropping what was thrown, and a
//! lock whose holder panicked is taken all the same. Each of our critical sections leaves what it guards
//! usable at every step, so a lock that stays shut would only spread one failure to everybody.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What `call` gives; nothing if it panicked.
pub fn contain<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(dispose).ok()
}

/// Drops what a panic threw. Only a text surely drops without a panic of its own; anything else is leaked,
/// which costs its bytes.
pub fn dispose(thrown: Box<dyn Any + Send>) {
    if !thrown.is::<&str>() && !thrown.is::<String>() {
        std::mem::forget(thrown);
    }
}

/// Locks.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for reading.
pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing.
pub fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics when it is dropped, as a thrown thing may.
    struct Spiteful;

    impl Drop for Spiteful {
        fn drop(&mut self) {
            panic!("again");
        }
    }

    #[test]
    fn what_was_thrown_cannot_panic_again() {
        assert_eq!(contain(|| 1), Some(1));
        assert_eq!(contain(|| -> u8 { panic!("text") }), None);
        assert_eq!(contain(|| -> u8 { std::panic::panic_any(Spiteful) }), None);
    }

    #[test]
    fn a_lock_whose_holder_panicked_is_taken_all_the_same() {
        let (mutex, rw) = (Mutex::new(1), RwLock::new(1));
        contain(|| {
            let (_guard, _other) = (lock(&mutex), write(&rw));
            panic!("while both are held");
        });
        assert!(mutex.is_poisoned() && rw.is_poisoned());
        *lock(&mutex) += 1;
        *write(&rw) += 1;
        assert_eq!((*lock(&mutex), *read(&rw)), (2, 2));
    }
}
