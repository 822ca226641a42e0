//! The configuration file, watched: when it changes it is read again.
//!
//! Owns what counts as a change. Editors write a file beside it and rename that over it, and Kubernetes swaps a link in the
//! way to it (`..data`), so it is folders that are watched: those of the file and of every symbolic link on the way. A
//! shell: it waits.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it waits")]

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::operator::change::{Changes, Wanted, Why};

/// A file that was not touched for this long is whole. Shorter reads what is half written; longer lets people wait.
const QUIET: Duration = Duration::from_millis(300);

/// One that is touched all the time is read after so long nevertheless.
const QUIET_MAX: Duration = Duration::from_secs(3);

/// Symbolic links on one way at the most, as the kernel has it (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Bytes of events that are taken at once: at least one with the longest name (inotify(7)).
const EVENTS: usize = 4_096;

/// What may be a change: what is renamed, written to its end, made, removed, or may be read now.
const CHANGES: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO);

/// The pause before a file that could not be watched is tried again: a folder may come back.
const RETRY: Duration = Duration::from_secs(5);

/// Has the file read again when it changes, while that is wanted, until the stop.
pub(super) async fn watch_file(
    path: &Path,
    changes: &Changes,
    mut wanted: watch::Receiver<bool>,
    mut stop: watch::Receiver<bool>,
) {
    let mut is_lost = false;
    loop {
        let began = Instant::now();
        let followed = async {
            if !until(&mut wanted, true).await {
                // Nobody is left to want it.
                return std::future::pending().await;
            }
            tokio::select! {
                _ = until(&mut wanted, false) => is_lost = false,
                error = follow(path, changes, is_lost) => {
                    // One that was watched meanwhile is lost anew.
                    if !std::mem::replace(&mut is_lost, true) || began.elapsed() > RETRY {
                        let path = path.display();
                        tracing::error!(
                            "{path} cannot be watched now, and is read again on SIGHUP or by the API until it can: {error}"
                        );
                    }
                    sleep(RETRY).await;
                }
            }
        };
        tokio::select! {
            _ = until(&mut stop, true) => return,
            () = followed => {}
        }
    }
}

/// Waits until it is `value`. Whether it ever is: not if nobody is left to say so.
async fn until(told: &mut watch::Receiver<bool>, value: bool) -> bool {
    told.wait_for(|told| *told == value).await.is_ok()
}

/// Follows for ever. Returns why that cannot be. Says that it can again, where it was `lost`.
async fn follow(path: &Path, changes: &Changes, mut lost: bool) -> io::Error {
    loop {
        // What is on the way may be another after each change.
        let watcher = match Watcher::new(path) {
            Ok(watcher) => watcher,
            Err(error) => return error,
        };
        if std::mem::take(&mut lost) {
            tracing::info!("{} is watched again", path.display());
        }
        // It may have changed before it was watched.
        changes.tell(Wanted::Reload(Why::File));
        if let Err(error) = watcher.changed().await {
            return error;
        }
        let began = Instant::now();
        while began.elapsed() < QUIET_MAX && timeout(QUIET, watcher.changed()).await.is_ok() {}
    }
}

/// Folders that are watched.
struct Watcher {
    events: AsyncFd<OwnedFd>,
    /// The names that count, by the number of their folder's watch.
    names: HashMap<i32, BTreeSet<OsString>>,
}

impl Watcher {
    fn new(path: &Path) -> io::Result<Watcher> {
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut names: HashMap<i32, BTreeSet<OsString>> = HashMap::new();
        for (folder, found) in on_the_way(path)? {
            // Two ways to one folder have one number.
            names.entry(inotify::add_watch(&events, &folder, CHANGES)?).or_default().extend(found);
        }
        #[expect(
            deprecated,
            reason = "sound for a descriptor that it owns; what replaces it takes unsafe code"
        )]
        let events = AsyncFd::new(events)?;
        Ok(Watcher { events, names })
    }

    /// Waits until something of what counts changes.
    async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.events.readable().await?;
            if let Ok(counts) = ready.try_io(|events| self.take(events.get_ref()))
                && counts?
            {
                return Ok(());
            }
        }
    }

    /// Takes the events that are there. Whether one of them counts; would block if there is none.
    fn take(&self, events: &OwnedFd) -> io::Result<bool> {
        let mut room = [MaybeUninit::uninit(); EVENTS];
        let mut reader = inotify::Reader::new(events, &mut room);
        let mut counts = None;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    let named = || {
                        self.names
                            .get(&event.wd())
                            .zip(name)
                            .is_some_and(|(names, name)| names.contains(name))
                    };
                    // Some were lost, or a folder has gone.
                    let lost = event.events().intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED);
                    *counts.get_or_insert(false) |= lost || named();
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return counts.ok_or_else(|| io::ErrorKind::WouldBlock.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The folders of the file and of every link on the way to it, with the names that count in each.
fn on_the_way(path: &Path) -> io::Result<BTreeMap<PathBuf, BTreeSet<OsString>>> {
    let mut found: BTreeMap<PathBuf, BTreeSet<OsString>> = BTreeMap::new();
    let mut at = PathBuf::from("/");
    let mut links = 0;
    let absolute = std::path::absolute(path)?;
    let mut rest: VecDeque<PathBuf> =
        absolute.components().map(|part| PathBuf::from(part.as_os_str())).collect();
    while let Some(part) = rest.pop_front() {
        let name = match part.components().next() {
            Some(Component::RootDir) => {
                at = PathBuf::from("/");
                continue;
            }
            Some(Component::ParentDir) => {
                at.pop();
                continue;
            }
            Some(Component::Normal(name)) => name.to_owned(),
            _ => continue,
        };
        let here = at.join(&name);
        let target = std::fs::read_link(&here).ok();
        if target.is_some() || rest.is_empty() {
            found.entry(at.clone()).or_default().insert(name);
        }
        match target {
            None => at = here,
            Some(_) if links == LINKS_MAX => return Err(rustix::io::Errno::LOOP.into()),
            Some(target) => {
                links += 1;
                let parts: Vec<PathBuf> =
                    target.components().map(|part| PathBuf::from(part.as_os_str())).collect();
                parts.into_iter().rev().for_each(|part| rest.push_front(part));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_folder_on_the_way_is_watched_for_its_own_name_alone() {
        let root = std::env::temp_dir().join(format!("sluice-way-{}", rand::random::<u64>()));
        std::fs::create_dir_all(root.join("etc/..1")).expect("folders");
        let root = root.canonicalize().expect("a folder");
        std::fs::write(root.join("etc/..1/a.toml"), "").expect("a file");
        symlink("..1", root.join("etc/..data")).expect("a link");
        symlink("..data/a.toml", root.join("etc/a.toml")).expect("a link");
        symlink(root.join("etc/a.toml"), root.join("b.toml")).expect("a link");
        symlink("loop", root.join("loop")).expect("a link");
        let way = on_the_way(&root.join("b.toml")).expect("a way");
        let names = |folder: &str| -> Vec<String> {
            let found = way.get(&root.join(folder)).into_iter().flatten();
            found.map(|name| name.to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(""), ["b.toml"]);
        assert_eq!(names("etc"), ["..data", "a.toml"]);
        assert_eq!(names("etc/..1"), ["a.toml"]);
        assert_eq!(way.len(), 3, "{way:?}");
        assert!(on_the_way(&root.join("loop")).is_err());
        std::fs::remove_dir_all(root).expect("it is there");
    }
}
