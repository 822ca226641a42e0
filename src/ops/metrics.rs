//! Prometheus metrics: names, units and help; values are read where they are counted, at each scrape.
//!
//! Owns the exposition only, each part in a file below. No label names a viewer, so the number of series depends on
//! streams and shards alone (docs/OPERATING.md lists them). Reads no clock: a scrape says what time it is.

mod access;
mod config;
mod egress;
mod kernel;
mod out;
mod process;
mod quality;
mod requests;
mod shards;
mod streams;
mod tls;
mod viewers;

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry as Exposition;

use self::out::{Out, label};
use self::process::Process;
use super::log::Lost;
use crate::cipher::Choice;
use crate::count::access::Decisions;
use crate::count::requests::Requests;
use crate::count::{Reloads, TlsCounters};
use crate::session::drain::Drain;
use crate::session::table::Sessions;
use crate::shard::command::ShardHandle;
use crate::stream::Registry;
use crate::supervise::{Ends, Task};

/// What stands before every name that is not the process's.
const PREFIX: &str = "sluice";

/// Where everything is counted.
pub struct Observed {
    /// Streams.
    pub registry: Arc<Registry>,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Shards, by number.
    pub shards: Vec<Arc<ShardHandle>>,
    /// HTTP requests.
    pub requests: Arc<Requests>,
    /// Decisions about access.
    pub decisions: Arc<Decisions>,
    /// Listeners with TLS, by name.
    pub tls: Vec<(&'static str, Arc<TlsCounters>)>,
    /// What the log lost.
    pub lost: Arc<Lost>,
    /// What ended that should not have.
    pub ends: Arc<Ends>,
    /// The commit of this build.
    pub revision: &'static str,
    /// Who seals.
    pub cipher: Choice,
    /// What became of the configuration when it was last read.
    pub reloads: Arc<Reloads>,
    /// Whether nobody is let in any more.
    pub drain: Arc<Drain>,
}

/// All metrics of the process.
pub struct Metrics {
    observed: Arc<Observed>,
    process: Arc<Process>,
}

impl Metrics {
    /// Metrics of what is counted there.
    pub fn new(observed: Observed) -> Metrics {
        Metrics { observed: Arc::new(observed), process: Arc::new(Process::new()) }
    }

    /// The OpenMetrics text; `now` and `date` are the same moment.
    pub fn render(&self, now: Instant, date: SystemTime) -> String {
        let mut exposition = Exposition::default();
        exposition.register_collector(Box::new(self.process.clone()));
        let whole = Scrape { observed: self.observed.clone(), now, date };
        exposition.sub_registry_with_prefix(PREFIX).register_collector(Box::new(whole));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &exposition)
            .expect("writing to a String cannot fail");
        text
    }
}

/// One scrape.
struct Scrape {
    observed: Arc<Observed>,
    now: Instant,
    date: SystemTime,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let Observed {
            registry,
            sessions,
            shards,
            requests,
            decisions,
            tls,
            lost,
            ends,
            revision,
            cipher,
            reloads,
            drain,
        } = &*self.observed;
        let mut out = Out(encoder);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let build = vec![("version", version), ("revision", (*revision).to_owned())];
        out.gauge("build_info", "Version of this build; always 1", [(build, 1.0)])?;
        let help = "Library that seals media (srtp.cipher); always 1";
        out.gauge("cipher_info", help, [(label("library", cipher.library), 1.0)])?;
        let help = "Time to seal a packet of 1,200 bytes by each library, as measured at the start";
        let costs = cipher.costs().map(|(library, cost)| (label("library", library), cost.as_secs_f64()));
        out.gauge("cipher_packet_seconds", help, costs)?;
        let draining = f64::from(u8::from(drain.now().is_some()));
        out.gauge(
            "draining",
            "1 while the server lets nobody in, because it is to end",
            [(vec![], draining)],
        )?;
        streams::encode(&mut out, registry, (self.now, self.date))?;
        viewers::encode(&mut out, sessions, shards, requests)?;
        quality::encode(&mut out, shards)?;
        egress::encode(&mut out, shards)?;
        shards::encode(&mut out, shards)?;
        requests::encode(&mut out, requests)?;
        access::encode(&mut out, decisions)?;
        tls::encode(&mut out, tls)?;
        kernel::encode(&mut out)?;
        config::encode(&mut out, reloads)?;
        let help = "Lines of the log that nobody took: it was stuck, or could not be written";
        out.counter("log_lost_lines", help, [(vec![], lost.get())])?;
        let ended = Task::ALL.map(|task| (label("task", task.label()), ends.of(task)));
        out.counter("task_ends", "Tasks and threads that ended and should not have, by kind", ended)
    }
}
