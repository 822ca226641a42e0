//! A server that is asked about people (`access.hook`), with the JSON that MediaMTX sends.
//!
//! Owns what it is asked, for how long an answer holds, and that one that is slow holds up those only who wait for it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use serde::Serialize;
use sluice_config::{Action, Hook as Config, WebUrl};
use tokio::sync::Semaphore;

use crate::contain::lock;
use crate::http::ask::{AskError, Client};

/// Questions for lists that are under way at once. More fill lists sooner; fewer leave the other server, and the places of
/// `access.hook.concurrency`, to those who want to watch.
const BESIDE_MAX: usize = 4;

/// For how long an answer holds for lists at the least. Longer asks less for pages that stay open; shorter shows sooner what
/// somebody may watch now, and takes away sooner what not. Watching is decided by `access.hook.cache` alone.
pub(super) const LISTED_FOR: Duration = Duration::from_secs(30);

/// Answers that are kept. More take 60 bytes each; fewer ask again while many come.
const KEPT_MAX: usize = 16_384;

/// What it is asked.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Question<'a> {
    /// Who asks comes from there.
    pub ip: IpAddr,
    /// The name that it gave.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// Or its token.
    pub token: &'a str,
    /// What it wants to do.
    pub action: &'static str,
    /// With which stream.
    pub path: &'a str,
    /// `webrtc`, or nothing where no stream is asked for.
    pub protocol: &'static str,
    /// Always empty: there is no session yet.
    pub id: &'static str,
    /// What stands behind `?` in its address.
    pub query: &'a str,
    /// What its program calls itself.
    pub user_agent: &'a str,
}

/// Asks, and remembers.
pub struct Hook {
    url: WebUrl,
    timeout: Duration,
    cache: Duration,
    places: Semaphore,
    /// Of those, for lists.
    beside: Semaphore,
    /// Of what is remembered: a table that leaks tells no password.
    key: hmac::Key,
    /// When each was asked for, and what was said.
    answers: Mutex<HashMap<[u8; 32], (Instant, bool)>>,
}

impl Hook {
    /// One for this configuration; none if it names no server.
    pub fn new(config: &Config) -> Option<Arc<Hook>> {
        Some(Arc::new(Hook {
            url: config.url.clone()?,
            timeout: config.timeout,
            cache: config.cache,
            places: Semaphore::new(config.concurrency as usize),
            beside: Semaphore::new(BESIDE_MAX),
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            answers: Mutex::default(),
        }))
    }

    /// What it said not long ago.
    pub fn remembers(&self, question: &Question<'_>, now: Instant) -> Option<bool> {
        self.remembers_for(question, now, Duration::ZERO)
    }

    /// The same, where its answer holds for `least` at the least.
    pub fn remembers_for(&self, question: &Question<'_>, now: Instant, least: Duration) -> Option<bool> {
        let (name, holds) = (self.name(question), self.cache.max(least));
        let answers = lock(&self.answers);
        answers.get(&name).filter(|(said, _)| now < *said + holds).map(|(_, yes)| *yes)
    }

    /// As [`Hook::ask`], for a list: behind others like it, so that who wants to watch does not wait for them.
    pub async fn ask_beside(
        &self,
        client: &Client,
        question: &Question<'_>,
        now: Instant,
    ) -> Result<bool, AskError> {
        let asked = async {
            let _place = self.beside.acquire().await.map_err(|_| AskError::Broken)?;
            self.ask(client, question, now).await
        };
        tokio::time::timeout(self.timeout, asked).await.unwrap_or(Err(AskError::Late(self.timeout)))
    }

    /// Whether it says yes.
    ///
    /// # Errors
    ///
    /// It did not say yes or no in time.
    pub async fn ask(
        &self,
        client: &Client,
        question: &Question<'_>,
        now: Instant,
    ) -> Result<bool, AskError> {
        let json = serde_json::to_vec(question).expect("texts can be JSON");
        let asked = async {
            let _place = self.places.acquire().await.map_err(|_| AskError::Broken)?;
            client.post(&self.url, json, self.timeout).await
        };
        // Its time is that of whoever waits, the queue included.
        let answer = tokio::time::timeout(self.timeout, asked).await;
        let (status, _) = answer.unwrap_or(Err(AskError::Late(self.timeout)))?;
        let yes = match status.as_u16() {
            200..=209 => true,
            // It did not get the question.
            408 => return Err(AskError::Status(408)),
            400..=409 => false,
            other => return Err(AskError::Status(other)),
        };
        self.keep(self.name(question), now, yes);
        Ok(yes)
    }

    fn keep(&self, name: [u8; 32], now: Instant, yes: bool) {
        let mut answers = lock(&self.answers);
        if answers.len() >= KEPT_MAX {
            answers.retain(|_, (said, _)| now < *said + self.cache.max(LISTED_FOR));
            if answers.len() >= KEPT_MAX {
                answers.clear();
            }
        }
        answers.insert(name, (now, yes));
    }

    /// A name for the question. What program asks, and what else stands in the address, makes no other one of it
    /// unless it may be what is judged.
    fn name(&self, question: &Question<'_>) -> [u8; 32] {
        let mut name = hmac::Context::with_key(&self.key);
        let Question { ip, user, password, token, action, path, query, .. } = question;
        for part in [&ip.to_string(), *user, *password, *token, *action, *path, *query] {
            name.update(&part.len().to_le_bytes());
            name.update(part.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(name.sign().as_ref());
        bytes
    }
}

impl<'a> Question<'a> {
    /// Whether somebody may do `action` with `stream`, said as MediaMTX says it.
    pub fn new(
        ip: IpAddr,
        (user, password, token): (&'a str, &'a str, &'a str),
        (action, stream): (Action, Option<&'a str>),
        (query, user_agent): (&'a str, &'a str),
    ) -> Question<'a> {
        let protocol = if action.is_of_stream() { "webrtc" } else { "" };
        let (action, path) = (action.name(), stream.unwrap_or_default());
        Question { ip, user, password, token, action, path, protocol, id: "", query, user_agent }
    }
}
