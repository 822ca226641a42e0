//! The last ten minutes, a sample a second, so that charts are full when somebody opens them.
//!
//! Owns how many samples are kept, and the word of the newest to those who follow. Its memory does not grow with what
//! happens: six hundred samples of a few numbers and two for each shard. Takes `now`; reads no clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::Operator;
use super::sample::{Reading, Sample};
use crate::contain::lock;
use crate::id::LayerId;

/// Samples that are kept. More show a longer past, and take memory and time of each page that is opened.
pub const SAMPLES: usize = 600;

/// Looks that a stream's bitrate is taken over: a second alone would show its keyframes.
const BITRATE_LOOKS: usize = 5;

/// The last ten minutes, as they are asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = History)]
pub struct Past {
    /// The version of the server.
    pub version: String,
    /// At most [`SAMPLES`], the oldest first.
    pub samples: Vec<Sample>,
}

/// The last ten minutes, as they are kept.
#[derive(Debug)]
pub struct History {
    kept: Mutex<Kept>,
    /// Gone once the server stops.
    newest: Mutex<Option<watch::Sender<Option<Arc<Sample>>>>>,
}

#[derive(Debug, Default)]
struct Kept {
    last: Option<Reading>,
    samples: VecDeque<Arc<Sample>>,
    /// Bytes that each layer had taken in at the last looks.
    ingress: BTreeMap<LayerId, VecDeque<(Instant, u64)>>,
}

impl Default for History {
    fn default() -> History {
        History { kept: Mutex::default(), newest: Mutex::new(Some(watch::Sender::new(None))) }
    }
}

impl History {
    /// The `last` samples that are kept.
    pub fn past(&self, last: usize) -> Past {
        let samples = lock(&self.kept).samples.clone();
        let before = samples.len().saturating_sub(last);
        let samples = samples.iter().skip(before).map(|sample| Sample::clone(sample)).collect();
        Past { version: env!("CARGO_PKG_VERSION").to_owned(), samples }
    }

    /// Follows what is to come, unless nothing will.
    pub fn follow(&self) -> Option<watch::Receiver<Option<Arc<Sample>>>> {
        lock(&self.newest).as_ref().map(watch::Sender::subscribe)
    }

    /// Nothing more comes: those who follow are told.
    pub fn close(&self) {
        lock(&self.newest).take();
    }

    /// Bits a second that a layer takes in, over the last looks.
    pub fn ingress_bps(&self, layer: LayerId) -> Option<u64> {
        let kept = lock(&self.kept);
        let looks = kept.ingress.get(&layer)?;
        rate(looks).map(|rate| rate as u64)
    }

    fn add(&self, sample: Sample) {
        let sample = Arc::new(sample);
        let mut kept = lock(&self.kept);
        if kept.samples.len() == SAMPLES {
            kept.samples.pop_front();
        }
        kept.samples.push_back(sample.clone());
        drop(kept);
        if let Some(newest) = &*lock(&self.newest) {
            newest.send_replace(Some(sample));
        }
    }
}

/// Bits a second between the first and the last of some looks at a number of bytes.
fn rate(looks: &VecDeque<(Instant, u64)>) -> Option<f64> {
    let ((began, before), (ended, after)) = (*looks.front()?, *looks.back()?);
    let seconds = ended.saturating_duration_since(began).as_secs_f64();
    (seconds > 0.0).then(|| after.saturating_sub(before) as f64 * 8.0 / seconds)
}

impl Operator {
    /// Looks at everything, once a second; `now` and `date` are the same moment.
    pub fn look(&self, now: Instant, date: SystemTime) {
        let reading = Reading::of(now, &self.shards, &self.sessions);
        let streams = self.registry.streams();
        let mut kept = lock(&self.history.kept);
        kept.ingress.retain(|id, _| {
            streams.iter().any(|stream| stream.id == id.stream && stream.layer(id.number).is_some())
        });
        for stream in &streams {
            for layer in stream.layers() {
                let looks = kept.ingress.entry(layer.id).or_default();
                if looks.len() > BITRATE_LOOKS {
                    looks.pop_front();
                }
                looks.push_back((now, layer.counters.ingress_bytes()));
                layer.counters.rate.set(rate(looks));
            }
        }
        let sample = kept.last.as_ref().map(|last| reading.since(last, date, &self.shards, &self.sessions));
        kept.last = Some(reading);
        drop(kept);
        if let Some(sample) = sample {
            self.history.add(sample);
        }
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
