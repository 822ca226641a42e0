//! Wrong passwords of one address: some at once, then one now and then, and between them none is looked at.
//!
//! Owns that pace. Sans-I/O: `now` is given to it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::contain::lock;
use crate::session::client::Client;

/// Wrong ones that an address may send at once: a person who mistypes, and a page that asks for several things with
/// one password. Raising it lets a guesser begin harder.
const BURST: f64 = 20.0;

/// Time until it may send another one. Raising it slows guessing, and keeps a person out longer.
const PACE: Duration = Duration::from_secs(3);

/// Addresses whose failures are remembered. More share one account, so that addresses made up by the thousand cost
/// memory for this many only.
const REMEMBERED_MAX: usize = 8_192;

/// Time between two looks for addresses that can be forgotten: a look goes through all of them.
const SWEEP: Duration = Duration::from_secs(1);

/// Failures of every address.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    accounts: HashMap<Client, Account>,
    /// When they were last looked through.
    swept: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Account {
    /// Wrong ones that it may still send, as of `at`.
    left: f64,
    at: Instant,
}

impl Account {
    fn left_at(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + passed / PACE.as_secs_f64()).min(BURST)
    }
}

impl Throttle {
    /// Whether a password of `client` is looked at; otherwise when it will be.
    pub fn look(&self, client: Client, now: Instant) -> Result<(), Duration> {
        let book = lock(&self.0);
        let left = book.accounts.get(&book.known(client)).map_or(BURST, |account| account.left_at(now));
        if left >= 1.0 { Ok(()) } else { Err(PACE.mul_f64(1.0 - left)) }
    }

    /// One of `client` was wrong.
    pub fn failed(&self, client: Client, now: Instant) {
        let mut book = lock(&self.0);
        let is_due = book.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP);
        if book.known(client) != client && is_due {
            book.swept = Some(now);
            book.accounts.retain(|_, account| account.left_at(now) < BURST);
        }
        let client = book.known(client);
        let account = book.accounts.entry(client).or_insert(Account { left: BURST, at: now });
        *account = Account { left: (account.left_at(now) - 1.0).max(0.0), at: now };
    }
}

impl Book {
    /// Whose account counts.
    fn known(&self, client: Client) -> Client {
        let has_room = self.accounts.len() < REMEMBERED_MAX;
        if has_room || self.accounts.contains_key(&client) { client } else { Client::REST }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a moment to begin with")]
mod tests {
    use super::*;

    fn client(number: u32) -> Client {
        Client::of(std::net::Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn an_address_that_guesses_is_slowed_and_others_are_not() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let (guesser, other) = (client(1), client(2));
        for _ in 0..BURST as usize {
            assert_eq!(throttle.look(guesser, start), Ok(()));
            throttle.failed(guesser, start);
        }
        let wait = throttle.look(guesser, start).expect_err("it guesses");
        assert!(wait <= PACE && throttle.look(other, start).is_ok());
        assert!(throttle.look(guesser, start + wait).is_ok());
        throttle.failed(guesser, start + wait);
        assert!(throttle.look(guesser, start + wait).is_err(), "one at a time from now on");
        assert!(throttle.look(guesser, start + PACE * 100).is_ok());
    }

    #[test]
    fn addresses_made_up_by_the_thousand_share_an_account() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        (0..2 * REMEMBERED_MAX as u32).for_each(|number| throttle.failed(client(number + 10), now));
        assert!(lock(&throttle.0).accounts.len() <= REMEMBERED_MAX + 1);
        assert!(throttle.look(client(1), now).is_err(), "a stranger while they rage");
        assert!(throttle.look(client(10), now).is_ok(), "who was there before has an account of its own");
        let later = now + PACE * 100;
        throttle.failed(client(1), later);
        assert_eq!(lock(&throttle.0).accounts.len(), 1, "those who came back to rest are forgotten");
    }
}
