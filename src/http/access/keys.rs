//! Where the keys of tokens come from (`access.jwt.keys`): a file, or another server, read again beside all requests.
//!
//! Owns when. What there is stays until there is something better, and a key that nobody knows has the source asked, not
//! oftener than every few seconds. A file is read beside the threads that answer: a disk may take as long as it likes. A
//! shell: it reads files and the clock.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use sluice_config::{Jwt, KeySource, WebUrl};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, spawn_blocking};

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

/// Bytes of a file at the most.
const FILE_MAX: u64 = 256 * 1_024;

/// Keys that are kept up to date by [`KeyStore::keep`].
pub struct KeyStore {
    rules: Jwt,
    source: KeySource,
    keys: watch::Sender<Option<Arc<Keys>>>,
    wanted: Notify,
}

impl KeyStore {
    /// For the configuration of a start; none if it names no source. A file is read at once, and if it cannot be, the
    /// server is there without it.
    pub fn new(rules: &Jwt) -> Option<Arc<KeyStore>> {
        let keys = match &rules.keys {
            Some(KeySource::File(path)) => read(path, rules),
            _ => return KeyStore::with(rules, None),
        };
        let told = |why| {
            tracing::warn!("access.jwt.keys: {why}; nobody comes in by a token until it can be read");
        };
        KeyStore::with(rules, keys.map_err(told).ok())
    }

    /// For another configuration of a server that runs: without the keys of its file there is none.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, in words.
    pub async fn next(rules: &Jwt) -> Result<Option<Arc<KeyStore>>, String> {
        let Some(KeySource::File(path)) = &rules.keys else { return Ok(KeyStore::with(rules, None)) };
        let keys =
            Reader::default().read(path, rules).await.map_err(|why| format!("access.jwt.keys: {why}"))?;
        Ok(KeyStore::with(rules, Some(keys)))
    }

    fn with(rules: &Jwt, keys: Option<Arc<Keys>>) -> Option<Arc<KeyStore>> {
        let source = rules.keys.clone()?;
        let (keys, _) = watch::channel(keys);
        Some(Arc::new(KeyStore { rules: rules.clone(), source, keys, wanted: Notify::new() }))
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
        self.look();
        let better = tokio::time::timeout(PATIENCE, keys.wait_for(is_new)).await;
        better.ok()?.ok()?.clone()
    }

    /// Keeps them up to date, for as long as it is polled.
    pub async fn keep(&self, client: &Client) {
        let (mut trouble, mut pause) = (Repeated::default(), Duration::ZERO);
        let mut reader = Reader::default();
        loop {
            let _ = tokio::time::timeout(pause, self.wanted.notified()).await;
            let read = match &self.source {
                KeySource::File(path) => reader.read(path, &self.rules).await,
                KeySource::Url(url) => fetch(client, url, &self.rules).await,
            };
            pause = match (&read, &self.source) {
                (Ok(_), KeySource::Url(_)) => AGAIN,
                _ => SOON,
            };
            match read {
                Ok(keys) => {
                    self.say(&keys);
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

impl KeyStore {
    /// Says what is another key now.
    fn say(&self, keys: &Keys) {
        let before = self.keys();
        let (came, gone) = match &before {
            Some(before) => (keys.beside(before), before.beside(keys)),
            None => (keys.len(), 0),
        };
        let is_first = before.is_none();
        if is_first {
            tracing::info!(keys = keys.len(), "tokens can be checked");
        } else if came + gone > 0 {
            tracing::info!(
                keys = keys.len(),
                came,
                gone,
                "access.jwt.keys: there are others now; whoever watches by a key that is gone is ended"
            );
        }
        let broken = before.map_or(0, |before| before.broken());
        if keys.broken() > 0 && (is_first || came + gone > 0 || keys.broken() != broken) {
            tracing::warn!(
                keys = keys.broken(),
                "access.jwt.keys: passed over, because no signature can be checked with them"
            );
        }
    }

    /// Has the source looked at, because somebody asks for it.
    pub fn look(&self) {
        self.wanted.notify_one();
    }
}

/// Reads a file. One that a disk keeps is waited for, and not read a second time meanwhile.
#[derive(Default)]
struct Reader(Option<JoinHandle<Result<Arc<Keys>, String>>>);

impl Reader {
    async fn read(&mut self, path: &Path, rules: &Jwt) -> Result<Arc<Keys>, String> {
        let (own, rules) = (path.to_owned(), rules.clone());
        let reading = self.0.get_or_insert_with(|| spawn_blocking(move || read(&own, &rules)));
        let late = |_| format!("{} was not read within {PATIENCE:?}", path.display());
        let read = tokio::time::timeout(PATIENCE, reading).await.map_err(late)?;
        self.0 = None;
        read.unwrap_or_else(|_| Err(format!("{} cannot be read", path.display())))
    }
}

async fn fetch(client: &Client, url: &WebUrl, rules: &Jwt) -> Result<Arc<Keys>, String> {
    match client.get(url, PATIENCE).await {
        Ok((status, body)) if status.is_success() => {
            let text = String::from_utf8_lossy(&body);
            let keys = Keys::of_set(&text, rules.algorithm, false);
            keys.map(Arc::new).map_err(|error| format!("{url}: {error}"))
        }
        Ok((status, _)) => Err(format!("{url} answers with status {status}")),
        Err(error) => Err(format!("{url}: {error}")),
    }
}

fn read(path: &Path, rules: &Jwt) -> Result<Arc<Keys>, String> {
    let refused = |error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", path.display());
    // A pipe without a writer would keep whoever opens it.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| refused(&error))?;
    let file = File::from(file);
    if !file.metadata().map_err(|error| refused(&error))?.is_file() {
        return Err(refused(&"it is no regular file"));
    }
    let mut text = String::new();
    // One byte more tells whether that was all.
    file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(|error| refused(&error))?;
    if text.len() as u64 > FILE_MAX {
        return Err(refused(&format!("it has more than {FILE_MAX} bytes")));
    }
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A folder, removed with the test.
    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn what_is_no_file_of_keys_holds_up_nobody_and_is_refused_in_words() {
        let folder = Folder(std::env::temp_dir().join(format!("sluice-keys-{}", rand::random::<u64>())));
        std::fs::create_dir(&folder.0).expect("a folder");
        let (pipe, large) = (folder.0.join("pipe"), folder.0.join("large"));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .expect("a pipe");
        std::fs::write(&large, vec![b' '; FILE_MAX as usize + 1]).expect("a file");
        for (path, why) in [
            (&pipe, "no regular file"),
            (&folder.0, "no regular file"),
            (&large, "more than 262144 bytes"),
            (&folder.0.join("nonesuch"), "cannot be read"),
        ] {
            let rules = Jwt { keys: Some(KeySource::File(path.clone())), ..Jwt::default() };
            // A reload that names it is refused; a start goes on without, and `sluice check` says it.
            let refused = KeyStore::next(&rules).await.err().expect("no keys");
            assert!(refused.starts_with("access.jwt.keys: ") && refused.contains(why), "{refused}");
            assert_eq!(check(&rules), Err(refused));
            assert!(KeyStore::new(&rules).is_some_and(|store| store.keys().is_none()));
        }
    }
}
