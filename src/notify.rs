//! What the service manager is told: ready, what is served, signs of life, reloads, the end (sd_notify(3)).
//!
//! Owns when which word is due. A thread of its own writes them, so that a manager that does not read holds nothing up;
//! without a manager there is none.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use sd_notify::NotifyState;
use sluice::server::{Rereads, Standing};

/// Words that may wait for the manager. What is over is lost, and said again at the next look.
const WAITING: usize = 16;

/// Time between looks: what `systemctl status` shows is as old.
const LOOK: Duration = Duration::from_secs(1);

/// Within this time the manager hears again that a drain goes on, or ends us. Longer lets a server that hangs in a drain
/// hang for longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One thing to say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Ready,
    Status(String),
    Alive,
    Reloading,
    Stopping,
    Extend(Duration),
}

/// The service manager, if there is one.
pub struct Manager {
    out: Option<SyncSender<Word>>,
    /// The time within which it wants signs of life (`WatchdogSec=`).
    watchdog: Option<Duration>,
    /// The last status.
    status: String,
    /// The reloads that it knows of.
    reloads: Rereads,
}

impl Manager {
    /// The one that started us (`NOTIFY_SOCKET`).
    ///
    /// # Errors
    ///
    /// The kernel's, when it gives no thread.
    pub fn find() -> std::io::Result<Manager> {
        let (out, words) = sync_channel(WAITING);
        let is_there = std::env::var_os("NOTIFY_SOCKET").is_some();
        if is_there {
            std::thread::Builder::new().name("notify".to_owned()).spawn(move || say(&words))?;
        }
        let watchdog = sd_notify::watchdog_enabled();
        Ok(Manager {
            out: is_there.then_some(out),
            watchdog,
            status: String::new(),
            reloads: Rereads::default(),
        })
    }

    /// Time between two calls of [`Manager::look`].
    pub fn period(&self) -> Duration {
        // Half of it is what the manager's manual asks for; a quarter stands one look that comes late.
        self.watchdog.map_or(LOOK, |watchdog| (watchdog / 4).min(LOOK)).max(Duration::from_millis(1))
    }

    /// Everything is bound and runs.
    pub fn ready(&self) {
        self.put(Word::Ready);
    }

    /// Looks at the server.
    pub fn look(&mut self, standing: &Standing) {
        for word in words(standing, self.watchdog.is_some(), &mut self.status) {
            self.put(word);
        }
    }

    /// Rereads of the configuration have begun or ended, whoever asked for them.
    pub fn reload(&mut self, told: Rereads) {
        for word in due_of_reloads(told, &mut self.reloads) {
            self.put(word);
        }
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.put(Word::Stopping);
    }

    fn put(&self, word: Word) {
        if let Some(out) = &self.out {
            let _ = out.try_send(word);
        }
    }
}

/// What is due of reloads. `said` is what was said of them; several that began since are one.
fn due_of_reloads(told: Rereads, said: &mut Rereads) -> Vec<Word> {
    let mut words = Vec::new();
    if told.begun != said.begun {
        words.push(Word::Reloading);
    }
    if told.is_over() && (told.begun != said.begun || !said.is_over()) {
        words.push(Word::Ready);
    }
    *said = told;
    words
}

/// What is due. `said` is the last status.
fn words(standing: &Standing, watchdog: bool, said: &mut String) -> Vec<Word> {
    let mut words = Vec::new();
    // A shard that stands still is the server's own business first (`server/watchdog.rs`); the manager's time is longer.
    if watchdog && standing.is_whole {
        words.push(Word::Alive);
    }
    if standing.draining.is_some() {
        words.push(Word::Extend(PATIENCE));
    }
    let status = status(standing);
    if *said != status {
        said.clone_from(&status);
        words.push(Word::Status(status));
    }
    words
}

fn status(standing: &Standing) -> String {
    let count = |number: usize, thing: &str| match number {
        1 => format!("1 {thing}"),
        _ => format!("{} {thing}s", grouped(number)),
    };
    let served = format!("{}, {}", count(standing.streams, "stream"), count(standing.viewers, "viewer"));
    let draining = standing.draining.map(|left| format!("; draining, {} s left", left.as_secs()));
    let ill = if standing.is_whole { "" } else { "; a part does not run" };
    served + &draining.unwrap_or_default() + ill
}

/// `3401` as `3,401`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Says words until nobody has any more.
fn say(words: &Receiver<Word>) {
    while let Ok(word) = words.recv() {
        // What it does not take is its loss: there is nobody else to tell.
        let _ = match word {
            Word::Ready => sd_notify::notify(&[NotifyState::Ready]),
            Word::Status(status) => sd_notify::notify(&[NotifyState::Status(&status)]),
            Word::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
            Word::Reloading => NotifyState::monotonic_usec_now()
                .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
            Word::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
            Word::Extend(time) => {
                let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
                sd_notify::notify(&[NotifyState::ExtendTimeoutUsec(micros)])
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVING: Standing = Standing { streams: 12, viewers: 3_401, is_whole: true, draining: None };

    #[test]
    fn the_status_is_said_when_it_changes_and_reads_well() {
        let mut said = String::new();
        let mut after = |standing: &Standing| words(standing, false, &mut said);
        assert_eq!(after(&SERVING), [Word::Status("12 streams, 3,401 viewers".to_owned())]);
        assert_eq!(after(&SERVING), []);
        let one = Standing { streams: 1, viewers: 1_234_567, ..SERVING };
        assert_eq!(after(&one), [Word::Status("1 stream, 1,234,567 viewers".to_owned())]);
        let draining = Standing { viewers: 0, draining: Some(Duration::from_secs(90)), ..SERVING };
        let status = Word::Status("12 streams, 0 viewers; draining, 90 s left".to_owned());
        assert_eq!(after(&draining), [Word::Extend(PATIENCE), status]);
    }

    #[test]
    fn a_reload_is_told_from_its_beginning_to_its_end_and_one_that_nobody_saw_is_told_too() {
        let mut said = Rereads::default();
        let mut after = |begun, ended| due_of_reloads(Rereads { begun, ended }, &mut said);
        assert_eq!(after(1, 0), [Word::Reloading]);
        assert_eq!(after(1, 1), [Word::Ready]);
        assert_eq!(after(1, 1), []);
        assert_eq!(after(2, 2), [Word::Reloading, Word::Ready]);
        assert_eq!(after(4, 3), [Word::Reloading]);
        assert_eq!(after(4, 4), [Word::Ready]);
    }

    #[test]
    fn a_server_of_which_a_part_does_not_run_gives_no_sign_of_life() {
        let mut said = status(&SERVING);
        assert_eq!(words(&SERVING, true, &mut said), [Word::Alive]);
        let ill = Standing { is_whole: false, ..SERVING };
        let status = Word::Status("12 streams, 3,401 viewers; a part does not run".to_owned());
        assert_eq!(words(&ill, true, &mut said), [status]);
        assert_eq!(words(&ill, true, &mut said), []);
        // Who does not ask for signs of life gets none.
        assert!(!words(&SERVING, false, &mut said).contains(&Word::Alive));
    }
}
