//! Probes for others: an operator's page asks, and gets the report of `sluice probe --json`. A shell: it makes threads.
//!
//! Owns how many there may be at once, and where their cameras may be. Each has a thread, because what a camera sends is
//! never parsed where requests are served, and ends when whoever asked for it is gone.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sluice_config::{Fingerprint, Network, Reach, RtspUrl, StreamName, Transport};
use tokio::sync::{Semaphore, oneshot};

use super::look::{Wanted, look};
use super::report::Report;
use crate::current::Current;
use crate::executor::Executor;

/// Probes at once. More let more operators look at the same time, and more of the machine's processor time be spent on it.
const PROBES_MAX: usize = 2;

/// What is asked for.
#[derive(Debug)]
pub struct Question {
    /// The camera.
    pub url: RtspUrl,
    /// Of the stream in the lines for the configuration file.
    pub name: StreamName,
    /// How media shall come; as `sluice probe` has it unless given.
    pub transport: Option<Transport>,
    /// Of the camera's certificate, where it is its own.
    pub fingerprint: Option<Fingerprint>,
    /// For all of it.
    pub time: Duration,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum NoReport {
    /// Others look already.
    #[error("{PROBES_MAX} probes run already: wait until one is done")]
    Busy,
    /// The kernel gives no thread, or no descriptor.
    #[error("the probe cannot run here: {0}")]
    Failed(#[from] io::Error),
    /// It broke.
    #[error("the probe failed inside the server, whose log says where")]
    Broken,
}

/// Whoever makes probes.
#[derive(Debug)]
pub struct Probes {
    places: Arc<Semaphore>,
    reach: Current<Arc<Reach>>,
}

impl Default for Probes {
    /// None may look anywhere.
    fn default() -> Probes {
        let places = Arc::new(Semaphore::new(PROBES_MAX));
        Probes { places, reach: Current::new(Arc::new(Reach(Vec::new()))) }
    }
}

impl Probes {
    /// From now on, cameras may be in `networks` and nowhere else.
    pub fn allow(&self, networks: &[Network]) {
        self.reach.set(Arc::new(Reach(networks.to_vec())));
    }

    /// Looks at a camera. The name is resolved once, and what it leads to is judged and then connected to. Ends soon after
    /// this is dropped.
    ///
    /// # Errors
    ///
    /// There is no room, or it cannot run here.
    pub(crate) async fn ask(&self, question: Question) -> Result<Report, NoReport> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| NoReport::Busy)?;
        let Question { url, name, transport, fingerprint, time } = question;
        let wanted =
            Wanted { url, name, transport, fingerprint, time, reach: Some((*self.reach.get()).clone()) };
        let (mut answer, answered) = oneshot::channel();
        std::thread::Builder::new().name("probe".to_owned()).spawn(move || {
            let _place = place;
            let seen = Executor::source().map(|executor| executor.run(look(&wanted, answer.closed())));
            let _ = answer.send(seen);
        })?;
        Ok(answered.await.map_err(|_| NoReport::Broken)??)
    }
}
