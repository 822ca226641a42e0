//! Where the keys of tokens come from (`access.jwt.keys`): a file, or another server, read again beside all requests.
//!
//! Owns when. What there is stays until there is something better, and a key that nobody knows has the source asked, not
//! oftener than every few seconds. A shell: it reads files and the clock.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_config::{Jwt, KeySource};
use tokio::sync::{Notify, watch};

use super::jwt::Keys;
use crate::http::ask::Client;
use crate::ops::log::Repeated;

/// Time between two looks at a server's keys. Shorter follows a rotation sooner, where it is not seen by a new key id.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// Time between two looks at a file, and to try again what failed.
const SOON: Duration = Duration::from_secs(10);

/// Least time between two looks that unknown keys cause. Shorter lets strangers have the source asked oftener.
const UNKNOWN: Duration = Duration::from_secs(5);

/// Time for a server's answer, and for a request that waits for keys.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of a file that are read.
const FILE_MAX: u64 = 256 * 1_024;

/// Keys that are kept up to date by [`KeyStore::keep`].
pub struct KeyStore {
    rules: Jwt,
    source: KeySource,
    keys: watch::Sender<Option<Arc<Keys>>>,
    wanted: Notify,
}

impl KeyStore {
    /// For this configuration; none if it names no source. A file is read at once.
    pub fn new(rules: &Jwt) -> Option<Arc<KeyStore>> {
        let source = rules.keys.clone()?;
        let (keys, _) = watch::channel(None);
        let store = KeyStore { rules: rules.clone(), source, keys, wanted: Notify::new() };
        if let KeySource::File(path) = &store.source {
            match read(path, &store.rules) {
                Ok(keys) => _ = store.keys.send_replace(Some(keys)),
                Err(why) => {
                    tracing::warn!("access.jwt.keys: {why}; nobody comes in by a token until it can be read")
                }
            }
        }
        Some(Arc::new(store))
    }

    /// The keys, if there are any yet.
    pub fn keys(&self) -> Option<Arc<Keys>> {
        self.keys.borrow().clone()
    }

    /// Has the source looked at because `known` do not suffice, and waits for what comes of it, but not for long.
    pub async fn better_than(&self, known: Option<&Arc<Keys>>) -> Option<Arc<Keys>> {
        let mut keys = self.keys.subscribe();
        let is_new = |keys: &Option<Arc<Keys>>| {
            keys.as_ref().is_some_and(|keys| known.is_none_or(|known| !Arc::ptr_eq(known, keys)))
        };
        self.wanted.notify_one();
        let better = tokio::time::timeout(PATIENCE, keys.wait_for(is_new)).await;
        better.ok()?.ok()?.clone()
    }

    /// Keeps them up to date, for as long as it is polled.
    pub async fn keep(&self, client: &Client) {
        let (mut trouble, mut pause) = (Repeated::default(), Duration::ZERO);
        loop {
            let _ = tokio::time::timeout(pause, self.wanted.notified()).await;
            let read = match &self.source {
                KeySource::File(path) => read(path, &self.rules),
                KeySource::Url(url) => match client.get(url, PATIENCE).await {
                    Ok((status, body)) if status.is_success() => {
                        let text = String::from_utf8_lossy(&body);
                        let keys = Keys::of_set(&text, self.rules.algorithm, false);
                        keys.map(Arc::new).map_err(|error| format!("{url}: {error}"))
                    }
                    Ok((status, _)) => Err(format!("{url} answers with status {status}")),
                    Err(error) => Err(format!("{url}: {error}")),
                },
            };
            pause = match (&read, &self.source) {
                (Ok(_), KeySource::Url(_)) => AGAIN,
                _ => SOON,
            };
            match read {
                Ok(keys) => {
                    if self.keys().is_none() {
                        tracing::info!(keys = keys.len(), "tokens can be checked");
                    }
                    self.keys.send_replace(Some(keys));
                }
                Err(why) => {
                    if let Some(times) = trouble.tell(Instant::now()) {
                        tracing::warn!(
                            times,
                            "access.jwt.keys: {why}; going on with the keys that there are"
                        );
                    }
                }
            }
            tokio::time::sleep(UNKNOWN).await;
        }
    }
}

fn read(path: &Path, rules: &Jwt) -> Result<Arc<Keys>, String> {
    use std::io::Read as _;
    let whole = || {
        let mut text = String::new();
        std::fs::File::open(path)?.take(FILE_MAX).read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    let text = whole().map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let keys =
        Keys::of_file(&text, rules.algorithm).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Arc::new(keys))
}

/// Looks at the file of a configuration as a start would.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn check(rules: &Jwt) -> Result<Option<String>, String> {
    let Some(KeySource::File(path)) = &rules.keys else { return Ok(None) };
    let keys = read(path, rules).map_err(|why| format!("access.jwt.keys: {why}"))?;
    Ok(Some(format!("access.jwt.keys: {} of {}", count(keys.len()), path.display())))
}

fn count(keys: usize) -> String {
    format!("{keys} key{}", if keys == 1 { "" } else { "s" })
}
