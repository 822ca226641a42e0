//! Whether a password is right: hashes are computed beside the threads that answer, a few at a time, and what was right
//! is remembered for some minutes, so that a page that asks every second costs microseconds.
//!
//! Owns the bounds of that. A shell: it spawns and waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use sluice_config::{Password, Secret};
use tokio::sync::Semaphore;

use crate::contain::lock;

/// Hashes at once. Each takes a processor for some 20 ms and 19 MiB; more take them from the shards.
const AT_ONCE: usize = 2;

/// Passwords that wait for that. More make those behind wait longer than a person does; fewer refuse a rush sooner.
const WAITING_MAX: usize = 64;

/// For how long a right password is right without being hashed again. Longer spares hashes; a change of the
/// configuration takes effect at once either way.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// Passwords that are remembered: one for each person and program. More take 40 bytes each.
const REMEMBERED_MAX: usize = 16_384;

/// What a user that is not there is checked against, so that it takes as long as one that is: hash of nothing that
/// anybody knows, at the price that [`hash`] has.
const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2x1aWNlc2x1aWNl$bm90aGluZyB0aGF0IGFueWJvZHkgY291bGQga25vdyE";

/// Checks passwords.
pub struct Passwords {
    /// Of what is remembered: a table that leaks tells no password.
    key: hmac::Key,
    right: Mutex<HashMap<[u8; 32], Instant>>,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Too many passwords wait to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

impl Default for Passwords {
    /// Nothing is remembered.
    fn default() -> Passwords {
        Passwords {
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            right: Mutex::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Passwords {
    /// Whether `given` was right for `password` not long ago.
    pub fn remembers(&self, password: &Password, given: &Secret, now: Instant) -> bool {
        let name = self.name(password, given);
        lock(&self.right).get(&name).is_some_and(|until| now < *until)
    }

    /// Whether `given` is `password`; without one the answer is no, and takes as long.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    pub async fn check(
        &self,
        password: Option<&Password>,
        given: &Secret,
        now: Instant,
    ) -> Result<bool, Busy> {
        let right = match password {
            Some(Password::Plain(text)) => is_equal(text.expose(), given.expose()),
            Some(Password::Sha256(wanted)) => {
                let own = digest::digest(&digest::SHA256, given.expose().as_bytes());
                verify_slices_are_equal(own.as_ref(), wanted).is_ok()
            }
            Some(Password::Argon2(hash)) => self.hashed(hash.clone(), given.clone()).await?,
            None => self.hashed(Secret::from(DECOY), given.clone()).await?,
        };
        // A wrong one costs a hash in every form: that it costs none would tell that there is such a user.
        if !right && matches!(password, Some(Password::Plain(_) | Password::Sha256(_))) {
            self.hashed(Secret::from(DECOY), given.clone()).await?;
        }
        // In every form: whoever is remembered passes while wrong ones from his address have to wait.
        if let Some(password) = password.filter(|_| right) {
            self.remember(self.name(password, given), now);
        }
        Ok(right)
    }

    async fn hashed(&self, hash: Secret, given: Secret) -> Result<bool, Busy> {
        let waits = Waits::begin(&self.waiting)?;
        let place = self.places.clone().acquire_owned().await.map_err(|_| Busy)?;
        drop(waits);
        let checked = tokio::task::spawn_blocking(move || {
            let right = PasswordHash::new(hash.expose()).is_ok_and(|hash| {
                Argon2::default().verify_password(given.expose().as_bytes(), &hash).is_ok()
            });
            drop(place);
            right
        });
        checked.await.map_err(|_| Busy)
    }

    fn remember(&self, name: [u8; 32], now: Instant) {
        let mut right = lock(&self.right);
        if right.len() >= REMEMBERED_MAX {
            right.retain(|_, until| now < *until);
            if right.len() >= REMEMBERED_MAX {
                right.clear();
            }
        }
        right.insert(name, now + REMEMBERED);
    }

    /// A name for `given` as an answer to `password`: with another password in the configuration it is another one.
    fn name(&self, password: &Password, given: &Secret) -> [u8; 32] {
        let mut name = hmac::Context::with_key(&self.key);
        let wanted = match password {
            Password::Argon2(text) | Password::Plain(text) => text.expose().as_bytes(),
            Password::Sha256(digest) => digest,
        };
        name.update(&wanted.len().to_le_bytes());
        name.update(wanted);
        name.update(given.expose().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(name.sign().as_ref());
        bytes
    }
}

/// A place in the queue, while it is dropped not yet.
struct Waits<'a>(&'a AtomicUsize);

impl Waits<'_> {
    fn begin(waiting: &AtomicUsize) -> Result<Waits<'_>, Busy> {
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        Ok(Waits(waiting))
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// In a time that says nothing about where they differ: of texts of one length by their digests.
fn is_equal(wanted: &str, given: &str) -> bool {
    let [wanted, given] = [wanted, given].map(|text| digest::digest(&digest::SHA256, text.as_bytes()));
    verify_slices_are_equal(wanted.as_ref(), given.as_ref()).is_ok()
}

/// The hash of a password for the configuration, with a new salt: argon2id, 19 MiB, two passes, as OWASP has it.
///
/// # Errors
///
/// The system gives no randomness or no memory.
pub fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "hashes are computed on threads, in real time")]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        let file = sluice_config::File::Text {
            name: "a.toml".to_owned(),
            text: format!("access.users.ann.password = \"{text}\""),
        };
        let inputs = sluice_config::Inputs { file: Some(file), ..Default::default() };
        let config = sluice_config::load(inputs).unwrap_or_else(|error| panic!("{error}"));
        config.access.users["ann"].password.clone().expect("a password")
    }

    #[tokio::test]
    async fn every_form_takes_its_password_and_no_other() {
        let hashed = hash("hunter2").expect("a hash");
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        for form in [
            "hunter2",
            "sha256:9S+9MrKzuG/4jvbEkGKChfSCrxXdyylUH5S89Saj9sc=",
            hashed.as_str(),
            &format!("argon2:{hashed}"),
        ] {
            let (kept, passwords) = (password(form), Passwords::default());
            for (given, right) in [("hunter2", true), ("hunter", false), ("hunter22", false), ("", false)] {
                let (given, now) = (Secret::from(given), Instant::now());
                assert!(!passwords.remembers(&kept, &given, now));
                assert_eq!(passwords.check(Some(&kept), &given, now).await, Ok(right), "{form} {given:?}");
                assert_eq!(passwords.remembers(&kept, &given, now), right, "{form} {given:?}");
            }
        }
        let passwords = Passwords::default();
        assert_eq!(passwords.check(None, &Secret::from("hunter2"), Instant::now()).await, Ok(false));
    }

    #[tokio::test]
    async fn what_was_right_is_remembered_for_that_hash_and_for_some_minutes() {
        let passwords = Passwords::default();
        let [first, second] = [(); 2].map(|()| password(&hash("hunter2").expect("a hash")));
        let (given, now) = (Secret::from("hunter2"), Instant::now());
        assert_eq!(passwords.check(Some(&first), &Secret::from("hunter"), now).await, Ok(false));
        assert!(
            !passwords.remembers(&first, &Secret::from("hunter"), now),
            "what is wrong is not remembered"
        );
        assert_eq!(passwords.check(Some(&first), &given, now).await, Ok(true));
        assert!(passwords.remembers(&first, &given, now + REMEMBERED / 2));
        assert!(!passwords.remembers(&first, &given, now + REMEMBERED));
        assert!(!passwords.remembers(&first, &Secret::from("hunter"), now));
        assert!(!passwords.remembers(&second, &given, now), "it was changed to the same one");
    }

    #[test]
    fn the_decoy_is_a_hash_that_costs_what_ours_do() {
        let decoy = PasswordHash::new(DECOY).expect("a hash");
        let ours = hash("x").expect("a hash");
        let ours = PasswordHash::new(&ours).expect("a hash");
        assert_eq!((decoy.params, decoy.version), (ours.params, ours.version));
        assert!(decoy.hash.is_some_and(|hash| hash.len() == 32));
    }

    #[tokio::test]
    async fn a_wrong_password_costs_a_hash_in_every_form() {
        for form in [
            "hunter2",
            "sha256:9S+9MrKzuG/4jvbEkGKChfSCrxXdyylUH5S89Saj9sc=",
            &hash("hunter2").expect("a hash"),
        ] {
            let (kept, passwords) = (password(form), Passwords::default());
            // Nobody gets a place at the hashes any more.
            passwords.places.close();
            let wrong = passwords.check(Some(&kept), &Secret::from("hunter"), Instant::now()).await;
            assert_eq!(wrong, Err(Busy), "{form}");
        }
    }

    #[tokio::test]
    async fn a_rush_waits_up_to_its_bound_and_is_refused_beyond_it() {
        let passwords = Passwords::default();
        let kept = password(&hash("hunter2").expect("a hash"));
        let given = Secret::from("wrong");
        let rush = (0..2 * WAITING_MAX).map(|_| passwords.check(Some(&kept), &given, Instant::now()));
        let answers = futures::future::join_all(rush).await;
        let refused = answers.iter().filter(|answer| **answer == Err(Busy)).count();
        // All ask before the first has an answer: two are hashed, the others wait or go.
        assert_eq!(refused, 2 * WAITING_MAX - WAITING_MAX - AT_ONCE, "{answers:?}");
        assert!(answers.iter().all(|answer| *answer != Ok(true)));
        assert_eq!(passwords.check(Some(&kept), &Secret::from("hunter2"), Instant::now()).await, Ok(true));
    }
}
