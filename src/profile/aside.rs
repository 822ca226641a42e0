//! Work that may take a while, on a thread that everybody else goes before.
//!
//! Owns that thread: the names of a profile cost a good part of a second of a core that shards may need. A shell.

use std::io;

use tokio::sync::oneshot;

/// Runs `work` on a thread of its own with a low priority.
///
/// # Errors
///
/// The kernel's, when it gives no thread; [`io::ErrorKind::Other`] if `work` panicked.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new().name("profile".to_owned()).spawn(move || {
        sluice_io::profile::yield_to_others();
        // Nobody may wait for it any more.
        let _ = done.send(work());
        sluice_io::profile::heap::give_back();
    })?;
    result
        .await
        .map_err(|_| io::Error::other("the profile could not be written: the log says where it failed"))
}
