//! Nobody takes what is kept for others, and every place comes back.
#![expect(clippy::disallowed_methods, reason = "a test needs one point of time to begin with")]

use std::net::IpAddr;

use super::*;

const LIMITS: AdmissionLimits = AdmissionLimits {
    viewers: 100,
    viewers_per_stream: 0,
    pending: 20,
    share: Share(50),
    joins_per_second: 10,
};
const STREAM: StreamId = StreamId(1);

fn client(number: u32) -> Client {
    Client::of(IpAddr::from((0x0a00_0000 + number).to_be_bytes()))
}

fn house(limits: AdmissionLimits) -> (Arc<Admission>, Instant) {
    (Arc::new(Admission::new(limits)), Instant::now())
}

fn refused(admission: &Admission, label: &str) -> u64 {
    admission.refused().find(|(name, _)| *name == label).map(|(_, count)| count).expect(label)
}

#[test]
fn a_place_comes_back_however_it_ends() {
    let (admission, now) = house(AdmissionLimits { viewers: 2, viewers_per_stream: 1, ..LIMITS });
    let first = admission.admit(now, client(1), STREAM).expect("a place");
    let full = admission.admit(now, client(2), STREAM).err();
    assert_eq!(full, Some(Refusal::StreamViewers(1)));
    let second = admission.admit(now, client(2), StreamId(2)).expect("a place of another stream");
    assert_eq!(admission.admit(now, client(3), StreamId(3)).err(), Some(Refusal::Viewers(2)));
    assert_eq!(admission.pending(), 2);
    first.connected();
    first.connected();
    assert_eq!(admission.pending(), 1);
    drop((first, second));
    assert_eq!(admission.pending(), 0);
    let again: Vec<_> =
        (1..=2).map(|n| admission.admit(now, client(n), StreamId(n)).expect("again")).collect();
    assert_eq!(
        (again.len(), refused(&admission, "viewers"), refused(&admission, "viewers_per_stream")),
        (2, 1, 1)
    );
}

#[test]
fn limits_that_are_changed_are_for_those_who_come_after() {
    let (admission, now) = house(LIMITS);
    let held: Vec<_> = (1..=3).map(|n| admission.admit(now, client(n), STREAM).expect("a place")).collect();
    admission.limit(AdmissionLimits { viewers: 1, viewers_per_stream: 3, ..LIMITS });
    assert_eq!(admission.admit(now, client(4), STREAM).err(), Some(Refusal::StreamViewers(3)));
    // Queues were made for as many viewers as there could be at the start: that number stays.
    let other = admission.admit(now, client(4), StreamId(2));
    assert!(other.is_ok());
    admission.limit(AdmissionLimits { pending: 4, ..LIMITS });
    assert_eq!(admission.admit(now, client(5), STREAM).err(), Some(Refusal::Pending(4)));
    drop((held, other));
    assert!(admission.admit(now, client(5), STREAM).is_ok());
}

/// A flood of joins that are never followed up, from one address and from several.
#[test]
fn whoever_floods_leaves_pending_places_to_others() {
    for attackers in [1, 3] {
        let (admission, mut now) = house(LIMITS);
        let mut held = Vec::new();
        for _ in 0..50 {
            now += Duration::from_millis(100);
            for attacker in 1..=attackers {
                held.extend(admission.admit(now, client(attacker), STREAM));
            }
        }
        assert!(held.len() < LIMITS.pending, "{attackers} took all");
        assert!(refused(&admission, "address_pending") > 0);
        assert_eq!(refused(&admission, "pending"), 0);
        // Somebody else joins again and again, connecting in time.
        for other in 0..20 {
            let place = admission.admit(now, client(100 + other), STREAM).expect("a place for another");
            place.connected();
            drop(place);
        }
    }
}

#[test]
fn whoever_watches_with_many_leaves_places_to_others() {
    let (admission, mut now) = house(LIMITS);
    let mut held = Vec::new();
    for _ in 0..200 {
        now += Duration::from_millis(100);
        held.extend(admission.admit(now, client(1), STREAM).inspect(Place::connected));
    }
    assert_eq!(held.len(), 51, "half of the places");
    assert!(refused(&admission, "address_viewers") > 0);
    admission.admit(now, client(2), STREAM).expect("a place for another");

    // The whole house to one, where the operator says so.
    let (admission, mut now) = house(AdmissionLimits { share: Share(100), ..LIMITS });
    let mut held = Vec::new();
    for _ in 0..200 {
        now += Duration::from_millis(100);
        held.extend(admission.admit(now, client(1), STREAM).inspect(Place::connected));
    }
    assert_eq!((held.len(), refused(&admission, "viewers")), (100, 100));
}

#[test]
fn joins_of_one_client_have_a_rate_and_a_burst() {
    let (admission, start) = house(LIMITS);
    let join = |now| admission.admit(now, client(1), STREAM).map(|place| place.connected());
    let burst = (0..100).take_while(|_| join(start).is_ok()).count();
    assert_eq!(burst, 50, "five seconds' worth");
    assert_eq!(join(start), Err(Refusal::Rate(10)));
    // Another is not held up, and neither is this one for long.
    admission.admit(start, client(2), STREAM).expect("another's join");
    let later = start + Duration::from_secs(2);
    let then = (0..100).take_while(|_| join(later).is_ok()).count();
    assert_eq!(then, 20);
    // A clock that stands still or goes back gives nothing away.
    assert!(join(start).is_err() && join(later).is_err());
}

#[test]
fn made_up_addresses_cost_no_more_memory_than_a_bound() {
    let (admission, now) = house(LIMITS);
    let bound = LIMITS.viewers + REMEMBERED_MAX;
    let held = admission.admit(now, client(0), STREAM).expect("a place");
    for number in 1..2 * bound as u32 {
        // Those beyond the bound share an account, and so a rate.
        let _ = admission.admit(now, client(number), STREAM);
    }
    assert_eq!(admission.lock().clients.len(), bound + 1, "and the account of the rest");
    assert!(refused(&admission, "address_rate") > 0);
    // Once the flood is over they are forgotten, but those who watch are not.
    let later = now + Duration::from_secs(60);
    admission.admit(later, client(u32::from(u16::MAX) * 4), STREAM).expect("a place for another");
    assert_eq!(admission.lock().clients.len(), 2);
    drop(held);
    assert_eq!(admission.lock().viewers, 0);
}
