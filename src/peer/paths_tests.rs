use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant")]
    Instant::now()
}

fn announced() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], 8_189))
}

fn path(port: u16) -> Path {
    let remote = SocketAddr::from(([192, 0, 2, 7], port));
    Path { remote: remote.into(), local: None }
}

/// A transaction id of its own for each number.
fn transaction(number: u32) -> [u8; 12] {
    let mut id = [0xaa; 12];
    id[..4].copy_from_slice(&number.to_be_bytes());
    id
}

/// A check over the path of `port`, the `number`th of all.
fn check(paths: &mut Paths, now: Instant, port: u16, number: u32, nominates: bool) -> Option<Remote> {
    assert_eq!(paths.standing(now, path(port).remote, &transaction(number)), Standing::New);
    paths.confirm(now, path(port), announced(), &transaction(number), nominates)
}

fn port_of(paths: &Paths, now: Instant) -> Option<u16> {
    paths.target(now).map(|(path, _)| path.remote.address.port())
}

#[test]
fn media_goes_to_the_newest_nomination_while_that_is_fresh() {
    let (mut paths, start) = (Paths::new(FRESH), start());
    assert_eq!(port_of(&paths, start), None);
    check(&mut paths, start, 1, 1, true);
    check(&mut paths, start + SECOND, 2, 2, false);
    assert_eq!(port_of(&paths, start + SECOND), Some(1), "a check alone is no nomination");
    check(&mut paths, start + 2 * SECOND, 2, 3, true);
    assert_eq!(port_of(&paths, start + 2 * SECOND), Some(2));
    // The first one goes on, the nominated one says nothing more.
    for second in 3..30 {
        let now = start + second * SECOND;
        check(&mut paths, now, 1, 10 + second, false);
        let expected = if now < start + 2 * SECOND + FRESH { 2 } else { 1 };
        assert_eq!(port_of(&paths, now), Some(expected), "after {second} s");
    }
    // It comes back: its nomination was the last.
    check(&mut paths, start + 30 * SECOND, 2, 99, false);
    assert_eq!(port_of(&paths, start + 30 * SECOND), Some(2));
}

#[test]
fn without_a_fresh_path_media_goes_nowhere() {
    let (mut paths, start) = (Paths::new(FRESH), start());
    check(&mut paths, start, 1, 1, true);
    let (_, until) = paths.target(start).expect("a target");
    assert_eq!(until, start + FRESH);
    assert_eq!(port_of(&paths, until - Duration::from_nanos(1)), Some(1));
    assert_eq!(port_of(&paths, until), None);
    // A report keeps it, and brings it back.
    paths.heard(until, path(1).remote);
    assert_eq!(port_of(&paths, until), Some(1));
    paths.heard(until, path(2).remote);
    assert_eq!(paths.addresses().count(), 1, "a report makes no address known");
}

#[test]
fn checks_at_the_pace_of_browsers_never_interrupt() {
    // Chromium's with two lost in a row; the slowest of RFC 7675; the slowest with one lost, and reports.
    for (pause, reports) in [(6_900, false), (6_000, false), (12_000, true)] {
        let (mut paths, start) = (Paths::new(FRESH), start());
        check(&mut paths, start, 1, 0, true);
        for tenth in 1..600u32 {
            let now = start + Duration::from_millis(100) * tenth;
            assert_eq!(port_of(&paths, now), Some(1), "{pause} ms, at {tenth}");
            if u64::from(tenth) * 100 % pause < 100 {
                check(&mut paths, now, 1, tenth, true);
            }
            if reports && tenth % 10 == 0 {
                paths.heard(now, path(1).remote);
            }
        }
    }
}

#[test]
fn the_one_that_goes_for_a_ninth_is_the_one_unheard_for_longest() {
    let (mut paths, start) = (Paths::new(FRESH), start());
    for port in 1..=8 {
        assert_eq!(check(&mut paths, start, port, port.into(), port == 1), None);
    }
    let ninth = path(9).remote;
    assert_eq!(paths.standing(start + 29 * SECOND, ninth, &transaction(9)), Standing::NoRoom);
    // Even the nominated one, if it is that: media then goes to the newest that is left.
    let now = start + 31 * SECOND;
    for port in 2..=8 {
        check(&mut paths, now, port, 20 + u32::from(port), false);
    }
    assert_eq!(check(&mut paths, now + SECOND, 9, 30, false), Some(path(1).remote));
    assert_eq!(paths.addresses().count(), 8);
    assert_eq!(port_of(&paths, now + SECOND), Some(9));
}

#[test]
fn a_life_has_a_bound_of_addresses() {
    let (mut paths, start) = (Paths::new(FRESH), start());
    for port in 1..=PATHS_EVER_MAX {
        check(&mut paths, start + 31 * SECOND * u32::from(port), port, port.into(), true);
    }
    let later = start + 86_400 * SECOND;
    let standing = |port, number| paths.standing(later, path(port).remote, &transaction(number));
    assert_eq!(standing(PATHS_EVER_MAX + 1, 100_000), Standing::NoRoom);
    assert_eq!(standing(PATHS_EVER_MAX, 100_000), Standing::New, "those that it has stay good");
}

#[test]
fn a_copy_of_a_check_proves_nothing() {
    let (mut paths, start) = (Paths::new(FRESH), start());
    check(&mut paths, start, 1, 1, true);
    check(&mut paths, start, 2, 2, false);
    let standing =
        |paths: &Paths, port, number| paths.standing(start, path(port).remote, &transaction(number));
    assert_eq!(standing(&paths, 3, 1), Standing::Copy);
    assert_eq!(standing(&paths, 2, 1), Standing::Again);
    assert_eq!(standing(&paths, 1, 1), Standing::Again);
    // As long as it is remembered.
    for number in 3..1 + CHECKS_REMEMBERED as u32 {
        check(&mut paths, start, 1, number, true);
    }
    assert_eq!(standing(&paths, 3, 1), Standing::Copy);
    check(&mut paths, start, 1, 99, true);
    assert_eq!(standing(&paths, 3, 1), Standing::New);
}

#[test]
fn a_silent_address_is_released() {
    let (mut paths, start) = (Paths::new(FRESH), start());
    check(&mut paths, start, 1, 1, true);
    let address = path(1).remote;
    assert!(!paths.is_released(start + RELEASED - Duration::from_nanos(1), address));
    assert!(paths.is_released(start + RELEASED, address));
    paths.heard(start + RELEASED, address);
    assert!(!paths.is_released(start + RELEASED, address));
    paths.forget(address);
    assert!(paths.is_released(start + RELEASED, address));
    assert_eq!(port_of(&paths, start + RELEASED), None);
}
