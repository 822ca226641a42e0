//! Changes of a server that runs: one after the other, each whole or not at all.
//!
//! Owns the configuration that is in effect, and the order of a reload: read and judge everything, then take over what
//! differs. A shell: it reads files and the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sluice_config::{ConfigError, Effective, File, Given, Inputs, Reload, Setting, Source, Stream};
use tokio::sync::{Notify, mpsc, watch};

use super::streams::Streams;
use super::tables::Tables;
use super::{ServerError, connections};
use crate::operator::Operator;
use crate::operator::change::{Answer, Applied, Order, Refused, Wanted, Why, listed};
use crate::ops::levels::Told;
use crate::supervise::Watched;

/// The configuration that `inputs` make; the demo is served where no stream is configured.
///
/// # Errors
///
/// Those of [`sluice_config::effective`].
pub fn configured(inputs: Inputs) -> Result<Effective, ConfigError> {
    let mut effective = sluice_config::effective(inputs)?;
    let streams = &mut effective.config.streams;
    if streams.is_empty() {
        let name = "demo".parse().expect("a valid name");
        let (key, value) = (format!("streams.{name}.source"), Source::Demo.label());
        streams.insert(name, Stream { source: Source::Demo, rtsp_transport: None });
        effective.settings.push(Setting { key, value, origin: Given::Default, reload: Reload::Live });
    }
    Ok(effective)
}

/// The longest that a reload waits for the file. Longer keeps those waiting who change something after it.
const READ_MAX: Duration = Duration::from_secs(10);

/// What changes a server.
pub(super) struct Live {
    /// Where its configuration is read from.
    pub(super) inputs: Inputs,
    pub(super) tables: Tables,
    pub(super) streams: Arc<Streams>,
    pub(super) operator: Arc<Operator>,
    /// Has the files of certificates looked at.
    pub(super) certificates: Arc<Notify>,
}

/// Makes the changes that are asked for until the stop.
pub(super) async fn serve(
    mut watched: Watched,
    live: Live,
    mut orders: mpsc::Receiver<Order>,
    stop: watch::Receiver<bool>,
) {
    let mut changes = async || {
        let mut stop = stop.clone();
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
    async fn change(&self, wanted: Wanted) -> Answer {
        match wanted {
            Wanted::Reload(_) if self.inputs.file.is_none() => Err(Refused::NoFile),
            Wanted::Reload(why) => {
                let answer = self.reload(why).await;
                if let Err(refused) = &answer {
                    tracing::error!("{why}: {refused}");
                    self.operator.reloads.fail();
                    self.operator.settings.fail(refused.to_string());
                }
                answer
            }
        }
    }

    /// Reads the configuration again and takes over what can be; on any error in it everything stays as it is.
    async fn reload(&self, why: Why) -> Answer {
        let inputs = self.inputs.clone();
        if let Some(File::Path(path)) = &inputs.file
            && std::fs::metadata(path).is_ok_and(|file| !file.is_file())
        {
            // A pipe would keep its reader for ever.
            let why = format!("{} is no regular file, so it cannot be read again", path.display());
            return Err(Refused::Unusable(why));
        }
        // On a thread of its own: a disk may take as long as it likes.
        let read = tokio::task::spawn_blocking(move || configured(inputs));
        let late = |_| Refused::Unusable(format!("the file was not read within {} s", READ_MAX.as_secs()));
        let read = tokio::time::timeout(READ_MAX, read).await.map_err(late)?;
        let read = read.map_err(|_| Refused::Failed("the configuration's reader panicked".to_owned()))?;
        let new = read.map_err(Refused::Invalid)?;
        self.check_emptied(&new)?;
        let applied = self.apply(&new).await?;
        self.operator.reloads.succeed(SystemTime::now());
        tracing::info!("{why}: the configuration was read again: {applied}");
        if !applied.restart.is_empty() {
            tracing::warn!("without effect before a restart: {}", listed(&applied.restart));
        }
        Ok(applied)
    }

    /// A file that was cut short by whoever writes it must not end every stream.
    fn check_emptied(&self, new: &Effective) -> Result<(), Refused> {
        let is_ours =
            |setting: &Setting| setting.key.starts_with("streams.") && setting.origin == Given::Default;
        let is_emptied = new.settings.iter().any(is_ours);
        let has_others = || self.operator.registry.streams().iter().any(|stream| stream.name != "demo");
        if is_emptied && has_others() {
            let why = "the file has no stream any more. If all of them are to end, let it have one, as in \
                       [streams.demo] with source = \"demo\"";
            return Err(Refused::Unusable(why.to_owned()));
        }
        Ok(())
    }

    /// Takes over what differs.
    async fn apply(&self, Effective { config, settings }: &Effective) -> Answer {
        let unusable = |error: ServerError| Refused::Unusable(error.to_string());
        connections(config).map_err(unusable)?;
        let judged = self.tables.judge(config).await.map_err(unusable)?;
        let levels = &self.operator.levels;
        let told = Told { level: Some(config.log.level.clone()), ..levels.told() };
        levels.change(told).map_err(|error| unusable(error.into()))?;
        self.certificates.notify_one();
        self.tables.apply(config, judged);
        let streams = self.streams.apply(config);
        let streams = streams.map_err(|error| Refused::Failed(ServerError::Thread(error).to_string()))?;
        let (settings, restart) = self.operator.settings.reload(settings);
        Ok(Applied { streams, settings, restart })
    }
}
