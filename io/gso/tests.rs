use std::net::Ipv4Addr;

use super::*;

fn destination(index: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + index as u32), 9))
}

#[expect(clippy::disallowed_methods, reason = "an arbitrary point in time to count from")]
fn start() -> Instant {
    Instant::now()
}

#[test]
fn off_allows_nobody() {
    assert!(!GsoMemory::new(GsoMode::Off).allows(&destination(0)));
}

#[test]
fn a_refusal_lasts_60_seconds_and_concerns_one_destination() {
    let now = start();
    let mut memory = GsoMemory::new(GsoMode::On);
    memory.refused(destination(0), GsoFault::Path, now);
    assert!(!memory.allows(&destination(0)));
    assert!(memory.allows(&destination(1)));

    memory.expire(now + REPROBE_AFTER - Duration::from_millis(1));
    assert!(!memory.allows(&destination(0)));
    memory.expire(now + REPROBE_AFTER);
    assert!(memory.allows(&destination(0)));
    assert_eq!(memory.unfit(), 0);
}

#[test]
fn the_table_is_bounded_and_forgets_the_oldest() {
    let now = start();
    let mut memory = GsoMemory::new(GsoMode::On);
    for index in 0..MAX_UNFIT + 3 {
        memory.refused(destination(index), GsoFault::Path, now + Duration::from_millis(index as u64));
    }
    assert_eq!((memory.unfit(), memory.by_age.len()), (MAX_UNFIT, MAX_UNFIT));
    assert!(memory.allows(&destination(2)));
    assert!(!memory.allows(&destination(3)));
}

#[test]
fn a_destination_refused_twice_is_one_entry() {
    let now = start();
    let mut memory = GsoMemory::new(GsoMode::On);
    memory.refused(destination(0), GsoFault::Path, now);
    memory.refused(destination(0), GsoFault::Path, now + Duration::from_secs(1));
    assert_eq!((memory.unfit(), memory.by_age.len()), (1, 1));
}

#[test]
fn a_device_that_refuses_everyone_is_left_alone_and_tried_again() {
    let now = start();
    let mut memory = GsoMemory::new(GsoMode::On);
    for index in 1..DEVICE_STRIKES {
        memory.refused(destination(index as usize), GsoFault::Device, now);
    }
    assert!(memory.allows(&destination(0)), "one strike short");
    memory.refused(destination(99), GsoFault::Device, now);
    memory.expire(now + REPROBE_AFTER - Duration::from_millis(1));
    assert!(!memory.allows(&destination(0)), "nobody is tried");
    memory.expire(now + REPROBE_AFTER);
    assert!(memory.allows(&destination(0)));
}

#[test]
fn one_accepted_train_clears_the_device() {
    let now = start();
    let mut memory = GsoMemory::new(GsoMode::On);
    for index in 1..DEVICE_STRIKES * 3 {
        memory.refused(destination(index as usize), GsoFault::Device, now);
        if index % (DEVICE_STRIKES - 1) == 0 {
            memory.accepted();
        }
    }
    assert!(memory.allows(&destination(0)));
}

#[test]
fn paths_are_no_fault_of_the_device() {
    let now = start();
    let mut memory = GsoMemory::new(GsoMode::On);
    for index in 1..100 {
        memory.refused(destination(index), GsoFault::Path, now);
    }
    assert!(memory.allows(&destination(0)));
}
