//! Guesses of one address: some at once, then one now and then, and between them none is looked at.
//!
//! Owns that pace. A guess is charged before it is looked at, and given back if it was none: however many come at once,
//! no more are looked at. Sans-I/O: `now` is given to it, and who has to wait is told what for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::client::Client;
use crate::contain::lock;

/// Wrong ones that an address may send at once: a person who mistypes, and a page that asks for several things with
/// one password. Raising it lets a guesser begin harder.
const BURST: f64 = 20.0;

/// Time until it may send another one. Raising it slows guessing, and keeps a person out longer.
const PACE: Duration = Duration::from_secs(3);

/// What may wait of one address until it is known whether those before it were right: a house full of people behind one
/// address comes back after a restart. More make a guesser's requests hold more memory.
const WAITING_MAX: usize = 64;

/// Addresses whose failures are remembered. More share one account, so that addresses made up by the thousand cost
/// memory for this many only.
const REMEMBERED_MAX: usize = 8_192;

/// Time between two looks for addresses that can be forgotten: a look goes through all of them.
const SWEEP: Duration = Duration::from_secs(1);

/// Guesses of every address.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    accounts: HashMap<Client, Account>,
    /// When they were last looked through.
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Account {
    /// Wrong ones that it may still send, as of `at`; those that are being looked at are taken off.
    left: f64,
    at: Instant,
    /// That are being looked at.
    asking: usize,
    /// One of these is done. Whoever waits for that holds it, too.
    done: Arc<Notify>,
}

/// A guess that is looked at. It stays charged unless it is given back.
#[derive(Debug)]
pub struct Guess<'a> {
    throttle: &'a Throttle,
    client: Client,
    is_none: bool,
}

/// Why a guess is not looked at.
#[derive(Debug)]
pub enum Not {
    /// Too many before it were wrong. The next one is looked at after that time.
    Before(Duration),
    /// Those before it are being looked at: try again behind that.
    Until(OwnedNotified),
    /// Too many wait for these.
    Crowded,
}

impl Account {
    fn new(now: Instant) -> Account {
        Account { left: BURST, at: now, asking: 0, done: Arc::default() }
    }

    fn left_at(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + passed / PACE.as_secs_f64()).min(BURST)
    }

    fn is_at_rest(&self, now: Instant) -> bool {
        self.asking == 0 && self.left_at(now) >= BURST
    }
}

impl Throttle {
    /// Lets `client` try something that may be wrong, and charges it.
    ///
    /// # Errors
    ///
    /// [`Not`].
    pub fn guess(&self, client: Client, now: Instant) -> Result<Guess<'_>, Not> {
        let mut book = lock(&self.0);
        let client = book.known(client, now);
        let account = book.accounts.entry(client).or_insert_with(|| Account::new(now));
        let left = account.left_at(now);
        if left >= 1.0 {
            (account.left, account.at) = (left - 1.0, now);
            account.asking += 1;
            return Ok(Guess { throttle: self, client, is_none: false });
        }
        if account.asking == 0 {
            return Err(Not::Before(PACE.mul_f64(1.0 - left)));
        }
        if Arc::strong_count(&account.done) > WAITING_MAX {
            return Err(Not::Crowded);
        }
        Err(Not::Until(account.done.clone().notified_owned()))
    }
}

impl Guess<'_> {
    /// It was right, or nobody has looked at it.
    pub fn give_back(mut self) {
        self.is_none = true;
    }
}

impl Drop for Guess<'_> {
    fn drop(&mut self) {
        let mut book = lock(&self.throttle.0);
        let Some(account) = book.accounts.get_mut(&self.client) else { return };
        account.asking = account.asking.saturating_sub(1);
        if self.is_none {
            account.left = (account.left + 1.0).min(BURST);
        }
        account.done.notify_waiters();
        if account.is_at_rest(account.at) {
            book.accounts.remove(&self.client);
        }
    }
}

impl Book {
    /// Whose account counts.
    fn known(&mut self, client: Client, now: Instant) -> Client {
        let is_full = |book: &Book| book.accounts.len() >= REMEMBERED_MAX;
        let is_due = self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP);
        if self.accounts.contains_key(&client) {
            return client;
        }
        if is_full(self) && is_due {
            self.swept = Some(now);
            self.accounts.retain(|_, account| !account.is_at_rest(now));
        }
        if is_full(self) { Client::REST } else { client }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a moment to begin with")]
mod tests {
    use super::*;

    fn client(number: u32) -> Client {
        Client::of(std::net::Ipv4Addr::from_bits(number).into())
    }

    /// How long it has to wait that did guess.
    fn wait(throttle: &Throttle, client: Client, now: Instant) -> Option<Duration> {
        match throttle.guess(client, now) {
            Ok(guess) => {
                guess.give_back();
                None
            }
            Err(Not::Before(wait)) => Some(wait),
            Err(not) => panic!("{not:?}"),
        }
    }

    #[test]
    fn an_address_that_guesses_is_slowed_and_others_are_not() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let (guesser, other) = (client(1), client(2));
        (0..BURST as usize).for_each(|_| drop(throttle.guess(guesser, start).expect("one of some")));
        let pause = wait(&throttle, guesser, start).expect("it guesses");
        assert!(pause <= PACE && wait(&throttle, other, start).is_none());
        drop(throttle.guess(guesser, start + pause).expect("its time has come"));
        assert!(wait(&throttle, guesser, start + pause).is_some(), "one at a time from now on");
        assert_eq!(wait(&throttle, guesser, start + PACE * 100), None);
    }

    #[test]
    fn no_more_are_looked_at_than_may_be_wrong_however_many_come_at_once() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let guesses: Vec<_> = (0..10 * WAITING_MAX).map(|_| throttle.guess(client(1), now)).collect();
        let looked_at = guesses.iter().filter(|guess| guess.is_ok()).count();
        let waits = guesses.iter().filter(|guess| matches!(guess, Err(Not::Until(_)))).count();
        assert_eq!((looked_at, waits), (BURST as usize, WAITING_MAX), "and the others are refused");
        drop(guesses);
        assert!(wait(&throttle, client(1), now).is_some(), "all were wrong");
    }

    #[tokio::test]
    async fn who_is_right_lets_those_pass_who_waited_behind() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let guess = || throttle.guess(client(1), now);
        let mut right: Vec<_> = (0..BURST as usize).map(|_| guess().expect("one of some")).collect();
        let Err(Not::Until(behind)) = guess() else { panic!("all are being looked at") };
        right.pop().expect("one").give_back();
        behind.await;
        right.push(guess().expect("the place of that one"));
        right.into_iter().for_each(Guess::give_back);
        assert!(lock(&throttle.0).accounts.is_empty(), "nothing is kept of who is right");
    }

    #[test]
    fn addresses_made_up_by_the_thousand_share_an_account() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let fail = |number| drop(throttle.guess(client(number), now));
        (0..2 * REMEMBERED_MAX as u32).for_each(|number| fail(number + 10));
        assert!(lock(&throttle.0).accounts.len() <= REMEMBERED_MAX + 1);
        assert!(wait(&throttle, client(1), now).is_some(), "a stranger while they rage");
        assert!(wait(&throttle, client(10), now).is_none(), "who was there before has an account of its own");
        drop(throttle.guess(client(1), now + PACE * 100).expect("they came back to rest"));
        assert_eq!(lock(&throttle.0).accounts.len(), 1, "and are forgotten");
    }
}
