//! Changes of a server that runs: one after the other, each whole or not at all.
//!
//! Owns the configuration that is in effect, and the order of a change: read and judge everything, then take over what
//! differs. A shell: it reads files and the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sluice_config::{Reach, RtspUrl, Stream, StreamKey, with_stream};
use tokio::net::lookup_host;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::configured::Configured;
use super::files::connections;
use super::made::Making;
use super::rewrite::rewrite;
use super::streams::Streams;
use super::tables::Tables;
use super::{Rereads, ServerError};
use crate::http::access::open::{Hint, Listeners};
use crate::operator::Operator;
use crate::operator::change::{Answer, Applied, Order, Refused, Set, Wanted, Why, listed};
use crate::ops::levels::Told;
use crate::supervise::Watched;

/// Time for the name of a camera that is to be written to the file. Other changes wait meanwhile.
const RESOLVE_MAX: Duration = Duration::from_secs(2);

/// The longest that a reload waits for the file. Longer keeps those waiting who change something after it.
const READ_MAX: Duration = Duration::from_secs(10);

/// The longest that a change waits until it is in the file. Longer keeps those waiting who change something after it.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// What changes a server.
pub(super) struct Live {
    /// What is in effect.
    pub(super) now: Configured,
    pub(super) tables: Tables,
    pub(super) streams: Arc<Streams>,
    /// What makes streams by patterns.
    pub(super) making: Arc<Making>,
    pub(super) operator: Arc<Operator>,
    pub(super) listeners: Listeners,
    /// Has the files of certificates looked at.
    pub(super) certificates: Arc<Notify>,
    /// Has an order of a certificate that failed made again.
    pub(super) acme: Arc<Notify>,
    /// Told of reloads.
    pub(super) rereads: watch::Sender<Rereads>,
}

/// Makes the changes that are asked for until the stop.
pub(super) async fn serve(
    mut watched: Watched,
    mut live: Live,
    mut orders: mpsc::Receiver<Order>,
    stop: watch::Receiver<bool>,
) {
    let mut changes = async || {
        let mut stop = stop.clone();
        // One that panicked is over.
        live.rereads.send_modify(|rereads| rereads.ended = rereads.begun);
        loop {
            let order = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                order = orders.recv() => order,
            };
            let Some(Order { wanted, answer }) = order else { return };
            // Whoever asked may have left; the log tells it, too.
            let _ = answer.send(live.change(wanted).await);
        }
    };
    while let Some(pause) = watched.run(changes()).await {
        watched.pause(pause).await;
    }
}

impl Live {
    async fn change(&mut self, wanted: Wanted) -> Answer {
        match wanted {
            Wanted::Reload(_) if self.now.path().is_none() => Err(Refused::NoFile),
            Wanted::Reload(why) => {
                self.rereads.send_modify(|rereads| rereads.begun += 1);
                let answer = self.reload(why).await;
                self.rereads.send_modify(|rereads| rereads.ended += 1);
                if let Err(refused) = &answer {
                    let news = self.operator.settings.fail(refused.to_string());
                    // The same mistake in a file that was only touched is said once.
                    if news || why != Why::File {
                        tracing::error!("{why}: {refused}");
                    }
                    self.operator.reloads.fail();
                }
                answer
            }
            Wanted::Set(set) => {
                let stream = set.name.to_string();
                let answer = self.set(set).await;
                match &answer {
                    Ok(applied) => tracing::info!(stream, "API: {applied}"),
                    Err(refused) => tracing::warn!(stream, "API: {refused}"),
                }
                answer
            }
        }
    }

    /// Reads the configuration again and takes over what can be; on any error in it everything stays as it is.
    async fn reload(&mut self, why: Why) -> Answer {
        if self.now.path().and_then(|path| std::fs::metadata(path).ok()).is_some_and(|file| !file.is_file()) {
            // A pipe would keep its reader for ever.
            let why = "the configuration is no regular file, so it cannot be read again";
            return Err(Refused::Unusable(why.to_owned()));
        }
        let now = self.now.clone();
        let late = |_| Refused::Unusable(format!("the file was not read within {} s", READ_MAX.as_secs()));
        let read = timeout(READ_MAX, aside(move || now.again())).await.map_err(late)??;
        let next = read.map_err(Refused::Invalid)?;
        let is_same = next.text() == self.now.text() && self.operator.reloads.is_successful();
        if why == Why::File && is_same {
            // It was touched, or we have written it.
            return Ok(Applied::default());
        }
        if self.now.is_emptied_by(&next) {
            // A file that was cut short by whoever writes it must not end every stream.
            let why = "the file has no stream any more. If all of them are to end, let it have one, as in \
                       [streams.demo] with source = \"demo\"";
            return Err(Refused::Unusable(why.to_owned()));
        }
        let before = self.listeners.hints(&self.now.effective.config.access);
        let applied = self.apply(next, true).await?;
        self.acme.notify_one();
        self.tables.access.look_again();
        tracing::info!("{why}: the configuration was read again: {applied}");
        let now = self.listeners.hints(&self.now.effective.config.access);
        for Hint { is_open, text } in now.into_iter().filter(|hint| !before.contains(hint)) {
            if is_open {
                tracing::warn!("from now on {text}");
            } else {
                tracing::info!("from now on {text}");
            }
        }
        if !applied.restart.is_empty() {
            tracing::warn!("without effect before a restart: {}", listed(&applied.restart));
        }
        Ok(applied)
    }

    /// Makes a stream what is wanted.
    async fn set(&mut self, Set { name, stream, condition, keep }: Set) -> Answer {
        let there = self.now.effective.config.said_of(&name).is_some();
        let etag = self.operator.etag_of(&name);
        if !condition.holds(etag.as_deref()) {
            return Err(Refused::Condition(name.to_string()));
        }
        let made = self.operator.registry.stream(name.as_str()).and_then(|stream| stream.pattern.clone());
        if let (None, false, Some(pattern)) = (&stream, there, made) {
            let shown = name.as_str();
            let why = format!(
                "the stream {shown:?} is made by {pattern}: change that, or end its viewers, and it goes"
            );
            return Err(Refused::Conflict(why));
        }
        if stream.is_none() && !there {
            return Err(Refused::NoStream(name.to_string()));
        }
        let next = self.now.with(&name, stream.as_ref()).map_err(Refused::Invalid)?;
        let wanted = next.effective.config.said_of(&name);
        if stream.is_none() && wanted.is_some() {
            let why = "the demo is served as long as no other stream is: add one, and it goes";
            return Err(Refused::Conflict(why.to_owned()));
        }
        let reach = Reach(next.effective.config.admin.sources.clone());
        judge_reach(&name, wanted, &reach, keep).await?;
        if !keep {
            return self.apply(next, false).await;
        }
        let wanted = wanted.cloned();
        let Some((path, old)) = self.now.path().zip(self.now.text()) else { return Err(Refused::NoFile) };
        let conflict = |why: String| Refused::Conflict(why);
        let new = with_stream(old, &name, stream.as_ref())
            .map_err(|error| conflict(format!("{}: {error}", path.display())))?;
        let next = self.now.kept(&name, new.clone()).map_err(Refused::Invalid)?;
        if next.own(&name) != wanted.as_ref() {
            let shown = name.as_str();
            return Err(conflict(format!(
                "the stream {shown:?} is also given by a variable or on the command line, which the file cannot change: \
                 change it there"
            )));
        }
        let (path, old) = (path.to_owned(), old.to_owned());
        let told = path.display().to_string();
        let late = |_| {
            let limit = WRITE_MAX.as_secs();
            conflict(format!(
                "{told} was not written within {limit} s, and may be yet: look into it, and reload it"
            ))
        };
        let written = timeout(WRITE_MAX, aside(move || rewrite(&path, &old, &new))).await.map_err(late)?;
        written?.map_err(|error| conflict(error.to_string()))?;
        tracing::info!(stream = name.as_str(), "API: kept in {told}");
        self.apply(next, false).await
    }

    /// Takes over what differs; `reset_level` has the log tell what `log.level` says, whatever the API said since.
    async fn apply(&mut self, next: Configured, reset_level: bool) -> Answer {
        let config = &next.effective.config;
        let unusable = |error: ServerError| Refused::Unusable(error.to_string());
        connections(config).map_err(unusable)?;
        let judged = self.tables.judge(config).await.map_err(unusable)?;
        let levels = &self.operator.levels;
        if reset_level {
            let told = Told { level: Some(config.log.level.clone()), ..levels.told() };
            levels.change(told).map_err(|error| unusable(error.into()))?;
        }
        self.certificates.notify_one();
        self.tables.apply(config, judged);
        self.operator.probes.allow(&config.admin.sources);
        self.making.configure(&next);
        let streams = self.streams.apply(config, |name| next.is_by_api(name));
        let streams = streams.map_err(|error| Refused::Failed(ServerError::Thread(error).to_string()))?;
        let (settings, restart) = self.operator.settings.reload(&next.effective.settings);
        self.now = next;
        self.operator.reloads.succeed(SystemTime::now());
        Ok(Applied { streams, settings, restart })
    }
}

/// Whether a stream that the API names is where it may be. What is written to the file is the file's from then on, so its
/// name must resolve now; that of any other is looked at when it is connected to.
async fn judge_reach(
    name: &StreamKey,
    stream: Option<&Stream>,
    reach: &Reach,
    keep: bool,
) -> Result<(), Refused> {
    let Some(Stream { source, .. }) = stream else { return Ok(()) };
    for camera in source.cameras() {
        judge_camera(name, camera, reach, keep).await?;
    }
    Ok(())
}

async fn judge_camera(name: &StreamKey, camera: &RtspUrl, reach: &Reach, keep: bool) -> Result<(), Refused> {
    let shown = name.as_str();
    let outside = |address: IpAddr| {
        Refused::Unusable(format!(
            "the camera of {shown:?} is at {address}, where the API may name none: admin.sources lists where it may, and \
             one in the configuration file may be anywhere"
        ))
    };
    let literal = |host: &str| host.parse::<IpAddr>().ok();
    let addresses = match camera.url.host() {
        Some(url::Host::Ipv4(address)) => vec![IpAddr::V4(address)],
        Some(url::Host::Ipv6(address)) => vec![IpAddr::V6(address)],
        // The library takes every host of a scheme that it does not know for a name.
        Some(url::Host::Domain(host)) if literal(host).is_some() => literal(host).into_iter().collect(),
        Some(url::Host::Domain(host))
            if keep && host.contains('$') && matches!(name, StreamKey::Pattern(_)) =>
        {
            let why = "where its cameras are is for the names to say, so it cannot be judged: write it into the file yourself";
            return Err(Refused::Unusable(why.to_owned()));
        }
        Some(url::Host::Domain(host)) if keep => {
            let found = timeout(RESOLVE_MAX, lookup_host((host, 0))).await;
            let found = found.ok().and_then(Result::ok).into_iter().flatten().map(|address| address.ip());
            let found: Vec<IpAddr> = found.collect();
            if found.is_empty() {
                let why = format!("{host:?} does not resolve now, so where it leads cannot be judged");
                return Err(Refused::Unusable(why));
            }
            found
        }
        _ => Vec::new(),
    };
    addresses
        .into_iter()
        .find(|address| !reach.allows(*address))
        .map_or(Ok(()), |address| Err(outside(address)))
}

/// Does it on a thread of its own: a disk may take as long as it likes.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
    spawn_blocking(work).await.map_err(|_| Refused::Failed("a change panicked; please report it".to_owned()))
}
