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
    joins_of_stream: 0,
    joins: 0,
    egress_of_stream: 0,
    egress_of_client: 0,
};
const STREAM: StreamId = StreamId(1);

fn client(number: u32) -> Client {
    Client::of(IpAddr::from((0x0a00_0000 + number).to_be_bytes()))
}

fn asked(client: Client, stream: StreamId) -> Asked {
    Asked { client, stream, bits: 0 }
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
    let first = admission.admit(now, asked(client(1), STREAM)).expect("a place");
    let full = admission.admit(now, asked(client(2), STREAM)).err();
    assert_eq!(full, Some(Refusal::StreamViewers(1)));
    let second = admission.admit(now, asked(client(2), StreamId(2))).expect("a place of another stream");
    assert_eq!(admission.admit(now, asked(client(3), StreamId(3))).err(), Some(Refusal::Viewers(2)));
    assert_eq!(admission.pending(), 2);
    first.connected();
    first.connected();
    assert_eq!(admission.pending(), 1);
    drop((first, second));
    assert_eq!(admission.pending(), 0);
    let again: Vec<_> =
        (1..=2).map(|n| admission.admit(now, asked(client(n), StreamId(n))).expect("again")).collect();
    assert_eq!(
        (again.len(), refused(&admission, "viewers"), refused(&admission, "viewers_per_stream")),
        (2, 1, 1)
    );
}

#[test]
fn limits_that_are_changed_are_for_those_who_come_after() {
    let (admission, now) = house(LIMITS);
    let held: Vec<_> =
        (1..=3).map(|n| admission.admit(now, asked(client(n), STREAM)).expect("a place")).collect();
    admission.limit(AdmissionLimits { viewers: 1, viewers_per_stream: 3, ..LIMITS });
    assert_eq!(admission.admit(now, asked(client(4), STREAM)).err(), Some(Refusal::StreamViewers(3)));
    // Queues were made for as many viewers as there could be at the start: that number stays.
    let other = admission.admit(now, asked(client(4), StreamId(2)));
    assert!(other.is_ok());
    admission.limit(AdmissionLimits { pending: 4, ..LIMITS });
    assert_eq!(admission.admit(now, asked(client(5), STREAM)).err(), Some(Refusal::Pending(4)));
    drop((held, other));
    assert!(admission.admit(now, asked(client(5), STREAM)).is_ok());
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
                held.extend(admission.admit(now, asked(client(attacker), STREAM)));
            }
        }
        assert!(held.len() < LIMITS.pending, "{attackers} took all");
        assert!(refused(&admission, "address_pending") > 0);
        assert_eq!(refused(&admission, "pending"), 0);
        // Somebody else joins again and again, connecting in time.
        for other in 0..20 {
            let place =
                admission.admit(now, asked(client(100 + other), STREAM)).expect("a place for another");
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
        held.extend(admission.admit(now, asked(client(1), STREAM)).inspect(Place::connected));
    }
    assert_eq!(held.len(), 51, "half of the places");
    assert!(refused(&admission, "address_viewers") > 0);
    admission.admit(now, asked(client(2), STREAM)).expect("a place for another");

    // The whole house to one, where the operator says so.
    let (admission, mut now) = house(AdmissionLimits { share: Share(100), ..LIMITS });
    let mut held = Vec::new();
    for _ in 0..200 {
        now += Duration::from_millis(100);
        held.extend(admission.admit(now, asked(client(1), STREAM)).inspect(Place::connected));
    }
    assert_eq!((held.len(), refused(&admission, "viewers")), (100, 100));
}

#[test]
fn joins_of_one_client_have_a_rate_and_a_burst() {
    let (admission, start) = house(LIMITS);
    let join = |now| admission.admit(now, asked(client(1), STREAM)).map(|place| place.connected());
    let burst = (0..100).take_while(|_| join(start).is_ok()).count();
    assert_eq!(burst, 50, "five seconds' worth");
    assert_eq!(join(start), Err(Refusal::Rate(10)));
    // Another is not held up, and neither is this one for long.
    admission.admit(start, asked(client(2), STREAM)).expect("another's join");
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
    let held = admission.admit(now, asked(client(0), STREAM)).expect("a place");
    for number in 1..2 * bound as u32 {
        // Those beyond the bound share an account, and so a rate.
        let _ = admission.admit(now, asked(client(number), STREAM));
    }
    assert_eq!(admission.lock().clients.len(), bound + 1, "and the account of the rest");
    assert!(refused(&admission, "address_rate") > 0);
    // Once the flood is over they are forgotten, but those who watch are not.
    let later = now + Duration::from_secs(60);
    admission.admit(later, asked(client(u32::from(u16::MAX) * 4), STREAM)).expect("a place for another");
    assert_eq!(admission.lock().clients.len(), 2);
    drop(held);
    assert_eq!(admission.lock().viewers, 0);
}

#[test]
fn a_stream_and_the_server_are_joined_at_a_rate_whoever_comes() {
    let limits = AdmissionLimits { joins_of_stream: 2, joins: 3, ..LIMITS };
    let limits = AdmissionLimits { viewers: 10_000, pending: 10_000, share: Share(100), ..limits };
    let (admission, start) = house(limits);
    let (mut number, mut held) = (0, Vec::new());
    let mut join = |now: Instant, stream: u32| {
        number += 1;
        let place = admission.admit(now, asked(client(number), StreamId(stream)))?;
        held.push(place);
        Ok(())
    };
    let of_one = (0..20).filter(|_| join(start, 1).is_ok()).count();
    assert_eq!(of_one, 10, "five seconds' worth of the stream at once");
    assert_eq!(join(start, 1), Err(Refusal::StreamRate(2)));
    let of_others = (2..20).filter(|stream| join(start, *stream).is_ok()).count();
    assert_eq!(of_others, 5, "and of the server: what was refused took nothing of it");
    assert_eq!(join(start, 30), Err(Refusal::ServerRate(3)));
    let later = start + Duration::from_secs(1);
    assert_eq!((0..20).filter(|_| join(later, 1).is_ok()).count(), 2);
    assert_eq!((join(later, 2), join(later, 3)), (Ok(()), Err(Refusal::ServerRate(3))));
    assert!(Refusal::StreamRate(2).is_of_rate() && Refusal::ServerRate(3).is_of_rate());
}

#[test]
fn an_address_and_a_stream_are_sent_so_much_and_no_more() {
    const MEGABIT: u64 = 1_000_000;
    let limits = AdmissionLimits { egress_of_client: 10 * MEGABIT, egress_of_stream: 14 * MEGABIT, ..LIMITS };
    let (admission, now) = house(limits);
    let join = |number: u32, stream: u32, megabits: u64| {
        let bits = megabits * MEGABIT;
        admission.admit(now, Asked { client: client(number), stream: StreamId(stream), bits })
    };
    let first = join(1, 1, 6).expect("a place");
    assert_eq!(join(1, 2, 6).err(), Some(Refusal::OwnEgress));
    let small = join(1, 2, 4).expect("what is left");
    assert!(join(1, 2, 0).is_ok(), "nothing is known of a stream that has just begun");
    let second = join(2, 1, 6).expect("another's place");
    assert_eq!(join(3, 1, 6).err(), Some(Refusal::StreamEgress));
    let other = join(3, 2, 6).expect("of another stream");
    drop((first, small));
    assert!(join(1, 1, 6).is_ok(), "it was given back");
    drop((second, other));
    assert!(Refusal::OwnEgress.is_of_client() && Refusal::StreamEgress.is_of_stream());
}

#[test]
fn a_viewer_that_takes_more_is_counted_for_more_and_gives_it_all_back() {
    let limits = AdmissionLimits { egress_of_stream: 5_000, egress_of_client: 4_000, ..LIMITS };
    let (admission, now) = house(limits);
    let low = |number: u32| {
        let asked = Asked { bits: 1_000, ..asked(client(number), STREAM) };
        admission.admit(now, asked).expect("a place")
    };
    let (first, second) = (low(1), low(2));
    assert_eq!(first.change(4_500), Err(Refusal::OwnEgress));
    assert_eq!(first.change(3_500), Ok(()));
    assert_eq!(second.change(2_000), Err(Refusal::StreamEgress), "the first takes 3,500");
    assert_eq!(second.change(500), Ok(()), "less is always right");
    assert_eq!(second.change(1_500), Ok(()));
    drop(first);
    let third = Asked { bits: 3_500, ..asked(client(3), STREAM) };
    let third = admission.admit(now, third).expect("what the first had is free");
    assert!(admission.admit(now, Asked { bits: 1, ..asked(client(4), STREAM) }).is_err());
    drop((second, third));
    let all = Asked { bits: 4_000, ..asked(client(1), STREAM) };
    assert!(admission.admit(now, all).is_ok());
}
