//! What holds memory, and who asked for it.
//!
//! Owns when the heap is sampled: not before somebody asks, and from then on until somebody ends it. A shell: it waits and
//! reads the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and sleeps")]

use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use sluice_io::profile::heap;

use super::Profile;
use super::samples::{Samples, Shown};
use crate::contain::lock;

/// How long the first profile waits for samples, unless it is told. Longer shows more of a server that allocates little,
/// and keeps its reader waiting.
pub const FIRST: Duration = Duration::from_secs(10);

/// The sampling of the heap: whether it is on, and since when.
#[derive(Debug, Default)]
pub struct Heap(Mutex<Option<SystemTime>>);

impl Heap {
    /// Begins to sample, or ends it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] if this build cannot; the allocator's.
    pub fn set_sampled(&self, sampled: bool) -> io::Result<()> {
        let mut since = lock(&self.0);
        if sampled == heap::is_active() && since.is_some() == sampled {
            return Ok(());
        }
        heap::set_active(sampled)?;
        *since = sampled.then(SystemTime::now);
        tracing::info!("the heap is {}sampled from now on", if sampled { "" } else { "not " });
        Ok(())
    }

    /// How long [`Heap::profile`] takes.
    pub fn time(&self, seconds: Option<Duration>) -> Duration {
        seconds.unwrap_or(if lock(&self.0).is_some() { Duration::ZERO } else { FIRST })
    }

    /// What was allocated since the sampling began, or with `seconds` in the next so many. Begins to sample if nobody did
    /// before, and waits a while then.
    ///
    /// # Errors
    ///
    /// As [`Heap::set_sampled`].
    pub async fn profile(&self, shown: Shown, seconds: Option<Duration>) -> io::Result<Profile> {
        let (began, start) = (SystemTime::now(), Instant::now());
        let wait = self.time(seconds);
        self.set_sampled(true)?;
        let before = if wait.is_zero() { Samples::default() } else { Samples::take()? };
        tokio::time::sleep(wait).await;
        let samples = Samples::take()?.since(&before);
        let since = lock(&self.0).map(|since| since.elapsed().unwrap_or_default()).unwrap_or_default();
        let comment = match wait {
            Duration::ZERO => format!(
                "what was allocated in the last {} s, since the heap is sampled; what is older is not in it",
                since.as_secs()
            ),
            _ => format!("what was allocated within {} s, and no more", wait.as_secs()),
        };
        Ok(samples.profile(shown, began, start.elapsed(), comment))
    }
}
