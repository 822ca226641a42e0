//! The configuration that is in effect: each key, its value and who gave it.
//!
//! Owns what a reload does to that: what it takes over is the new configuration's, and all else stays with a word on
//! what a restart would make of it. Values hold no secret (`sluice_config::Setting`).

use std::collections::BTreeMap;
use std::sync::RwLock;

use serde::{Deserialize, Serialize};
use sluice_config::Setting;

use crate::contain::{read, write};

/// Tables that a running server takes over (`sluice_config::Config::needs_restart` names all others).
const TAKEN_OVER: [&str; 2] = ["rtsp.", "streams."];

/// All keys, as they are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// In the order of the reference file, then those of streams by name.
    pub settings: Vec<ToldSetting>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldSetting {
    /// `udp.port`.
    pub key: String,
    /// What it is.
    pub value: String,
    /// `default`, `environment`, `command line`, or the file with the line.
    pub origin: String,
    /// What it will be after a restart, if that is something else.
    pub after_restart: Option<String>,
}

/// All keys, as they are kept.
#[derive(Debug, Default)]
pub struct Settings(RwLock<Told>);

impl Settings {
    /// Those that the server started with.
    pub fn new(settings: &[Setting]) -> Settings {
        Settings(RwLock::new(Told { settings: settings.iter().map(ToldSetting::of).collect() }))
    }

    /// All of them.
    pub fn told(&self) -> Told {
        read(&self.0).clone()
    }

    /// The configuration was read again.
    pub fn reload(&self, settings: &[Setting]) {
        let taken_over = |key: &str| TAKEN_OVER.iter().any(|table| key.starts_with(table));
        let mut told = write(&self.0);
        let before: BTreeMap<String, ToldSetting> =
            std::mem::take(&mut told.settings).into_iter().map(|old| (old.key.clone(), old)).collect();
        let next = settings.iter().map(|setting| match before.get(&setting.key) {
            Some(old) if !taken_over(&setting.key) => {
                let after_restart = Some(setting.value.clone()).filter(|value| *value != old.value);
                ToldSetting { after_restart, ..old.clone() }
            }
            _ => ToldSetting::of(setting),
        });
        told.settings = next.collect();
    }
}

impl ToldSetting {
    fn of(setting: &Setting) -> ToldSetting {
        ToldSetting {
            key: setting.key.clone(),
            value: setting.value.clone(),
            origin: setting.origin.to_string(),
            after_restart: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_config::Given;

    use super::*;

    fn setting(key: &str, value: &str, line: usize) -> Setting {
        let origin = Given::File("a.toml".to_owned(), line);
        Setting { key: key.to_owned(), value: value.to_owned(), origin }
    }

    #[test]
    fn a_reload_takes_over_cameras_and_says_what_else_waits_for_a_restart() {
        let settings = Settings::new(&[
            setting("udp.port", "8189", 1),
            setting("rtsp.transport", "tcp", 2),
            setting("streams.gate.source", "demo", 3),
        ]);
        settings.reload(&[
            setting("udp.port", "9000", 1),
            setting("rtsp.transport", "udp", 2),
            setting("streams.yard.source", "demo", 4),
        ]);
        let told = settings.told().settings;
        let lines: Vec<(&str, &str, Option<&str>)> = told
            .iter()
            .map(|told| (told.key.as_str(), told.value.as_str(), told.after_restart.as_deref()))
            .collect();
        assert_eq!(
            lines,
            [
                ("udp.port", "8189", Some("9000")),
                ("rtsp.transport", "udp", None),
                ("streams.yard.source", "demo", None),
            ]
        );
        settings.reload(&[setting("udp.port", "8189", 9)]);
        assert_eq!(settings.told().settings[0].after_restart, None, "it was put back");
    }
}
