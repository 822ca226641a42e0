//! The configuration that is in effect: each key, its value and who gave it.
//!
//! Owns what a reload does to that: what it takes over is the new configuration's, and all else stays with a word on
//! what a restart would make of it. Values hold no secret (`sluice_config::Setting`).

use std::collections::BTreeMap;
use std::sync::RwLock;

use serde::{Deserialize, Serialize};
use sluice_config::{Reload, Setting};
use utoipa::ToSchema;

use super::change::Changed;
use crate::contain::{read, write};

/// All keys, as they are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Config)]
pub struct Told {
    /// In the order of the reference file, then those of streams by name.
    pub settings: Vec<ToldSetting>,
    /// What became of the configuration when it was last read.
    pub last_read: LastRead,
}

/// What became of the configuration when it was last read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastRead {
    /// Why it could not be used, if it could not: what was in effect before still is.
    pub error: Option<String>,
    /// When it was last read and could be used, in milliseconds since 1970.
    pub succeeded_ms: u64,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Setting)]
pub struct ToldSetting {
    /// `udp.port`.
    pub key: String,
    /// What it is.
    pub value: String,
    /// `default`, `environment`, `command line`, or the file with the line.
    pub origin: String,
    /// What a change of it needs: `live`, `new sessions`, `restart`.
    pub change: String,
    /// What it will be after a restart, if that is something else.
    pub after_restart: Option<String>,
}

/// All keys, as they are kept.
#[derive(Debug, Default)]
pub struct Settings(RwLock<Kept>);

#[derive(Debug, Default)]
struct Kept {
    settings: Vec<ToldSetting>,
    error: Option<String>,
}

impl Settings {
    /// Those that the server started with.
    pub fn new(settings: &[Setting]) -> Settings {
        Settings(RwLock::new(Kept { settings: settings.iter().map(ToldSetting::of).collect(), error: None }))
    }

    /// All of them; `succeeded_ms` is when they were last read and could be used.
    pub fn told(&self, succeeded_ms: u64) -> Told {
        let kept = read(&self.0);
        let last_read = LastRead { error: kept.error.clone(), succeeded_ms };
        Told { settings: kept.settings.clone(), last_read }
    }

    /// The keys of a stream, without its name.
    pub fn of_stream(&self, stream: &str) -> Vec<ToldSetting> {
        let prefix = format!("streams.{stream}.");
        let kept = read(&self.0);
        let own = kept.settings.iter().filter_map(|setting| {
            let key = setting.key.strip_prefix(&prefix).filter(|key| !key.contains('.'))?;
            Some(ToldSetting { key: key.to_owned(), ..setting.clone() })
        });
        own.collect()
    }

    /// The configuration could not be read, or be used. Returns whether that is news.
    pub fn fail(&self, error: String) -> bool {
        write(&self.0).error.replace(error.clone()) != Some(error)
    }

    /// The configuration was read again. Returns the keys that have a new value, those of streams left out, and those that
    /// will have one after a restart.
    pub fn reload(&self, settings: &[Setting]) -> (Vec<Changed>, Vec<Changed>) {
        let mut kept = write(&self.0);
        kept.error = None;
        let before: BTreeMap<String, ToldSetting> =
            std::mem::take(&mut kept.settings).into_iter().map(|old| (old.key.clone(), old)).collect();
        let (mut changed, mut waiting) = (Vec::new(), Vec::new());
        let next = settings.iter().map(|setting| {
            let new = ToldSetting::of(setting);
            let Some(old) = before.get(&setting.key) else { return new };
            let differs =
                Changed { key: setting.key.clone(), before: old.value.clone(), after: setting.value.clone() };
            if old.value == new.value {
                return new;
            }
            if setting.reload == Reload::Restart {
                waiting.push(differs);
                return ToldSetting { after_restart: Some(new.value), ..old.clone() };
            }
            if !setting.key.starts_with("streams.") {
                changed.push(differs);
            }
            new
        });
        kept.settings = next.collect();
        (changed, waiting)
    }
}

impl ToldSetting {
    /// A key that waits for nothing.
    pub fn of(setting: &Setting) -> ToldSetting {
        ToldSetting {
            key: setting.key.clone(),
            value: setting.value.clone(),
            origin: setting.origin.to_string(),
            change: setting.reload.label().to_owned(),
            after_restart: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_config::Given;

    use super::*;

    fn setting(key: &str, value: &str, reload: Reload) -> Setting {
        let origin = Given::File("a.toml".to_owned(), 1);
        Setting { key: key.to_owned(), value: value.to_owned(), origin, reload }
    }

    #[test]
    fn a_reload_takes_over_what_it_can_and_says_what_waits_for_a_restart() {
        let settings = Settings::new(&[
            setting("udp.port", "8189", Reload::Restart),
            setting("rtsp.data_timeout", "10", Reload::NewSessions),
            setting("streams.gate.source", "demo", Reload::Live),
        ]);
        let (changed, waiting) = settings.reload(&[
            setting("udp.port", "9000", Reload::Restart),
            setting("rtsp.data_timeout", "20", Reload::NewSessions),
            setting("streams.yard.source", "demo", Reload::Live),
        ]);
        let differs = |key: &str, before: &str, after: &str| Changed {
            key: key.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
        };
        assert_eq!(changed, [differs("rtsp.data_timeout", "10", "20")]);
        assert_eq!(waiting, [differs("udp.port", "8189", "9000")]);
        let told = settings.told(0).settings;
        let lines: Vec<(&str, &str, Option<&str>)> = told
            .iter()
            .map(|told| (told.key.as_str(), told.value.as_str(), told.after_restart.as_deref()))
            .collect();
        assert_eq!(
            lines,
            [
                ("udp.port", "8189", Some("9000")),
                ("rtsp.data_timeout", "20", None),
                ("streams.yard.source", "demo", None),
            ]
        );
        let again = settings.reload(&[setting("udp.port", "9000", Reload::Restart)]);
        assert_eq!(again, (vec![], vec![differs("udp.port", "8189", "9000")]), "it waits still");
        settings.reload(&[setting("udp.port", "8189", Reload::Restart)]);
        assert_eq!(settings.told(0).settings[0].after_restart, None, "it was put back");
    }
}
