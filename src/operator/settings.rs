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
    /// Of each key, to tell apart what is shown alike.
    marks: BTreeMap<String, u64>,
    error: Option<String>,
}

impl Settings {
    /// Those that the server started with.
    pub fn new(settings: &[Setting]) -> Settings {
        let (told, marks) = (settings.iter().map(ToldSetting::of).collect(), marks(settings));
        Settings(RwLock::new(Kept { settings: told, marks, error: None }))
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
        let kept = &mut *kept;
        kept.error = None;
        let before: BTreeMap<String, ToldSetting> =
            std::mem::take(&mut kept.settings).into_iter().map(|old| (old.key.clone(), old)).collect();
        let marks = std::mem::replace(&mut kept.marks, marks(settings));
        let (mut changed, mut waiting) = (Vec::new(), Vec::new());
        let next = settings.iter().map(|setting| {
            let new = ToldSetting::of(setting);
            let key = setting.key.clone();
            // What nobody had given is empty.
            let nothing = ToldSetting { value: String::new(), ..new.clone() };
            let old = before.get(&key).unwrap_or(&nothing);
            let mut differs = Changed { key, before: old.value.clone(), after: setting.value.clone() };
            if old.value == new.value {
                // Two passwords, say.
                let is_shown_alike = setting.key.starts_with("access.") && setting.reload != Reload::Restart;
                if is_shown_alike && marks.get(&setting.key) != Some(&setting.mark) {
                    differs.after.push_str(" (another)");
                    changed.push(differs);
                }
                return new;
            }
            if setting.reload == Reload::Restart {
                waiting.push(differs);
                return ToldSetting { after_restart: Some(new.value), ..old.clone() };
            }
            changed.push(differs);
            new
        });
        kept.settings = next.collect();
        for old in before.into_values().filter(|old| !kept.marks.contains_key(&old.key)) {
            let gone = Changed { key: old.key.clone(), before: old.value.clone(), after: String::new() };
            match old.change == Reload::Restart.label() {
                // It was new, and waited.
                true if old.value.is_empty() => {}
                true => {
                    waiting.push(gone);
                    kept.settings.push(ToldSetting { after_restart: Some(String::new()), ..old });
                }
                false => changed.push(gone),
            }
        }
        // What becomes of streams is told of each stream.
        changed.retain(|changed| !changed.key.starts_with("streams."));
        (changed, waiting)
    }
}

fn marks(settings: &[Setting]) -> BTreeMap<String, u64> {
    settings.iter().map(|setting| (setting.key.clone(), setting.mark)).collect()
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
        Setting { key: key.to_owned(), value: value.to_owned(), origin, reload, mark: 0 }
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
        let timeout = setting("rtsp.data_timeout", "20", Reload::NewSessions);
        let again = settings.reload(&[setting("udp.port", "9000", Reload::Restart), timeout]);
        assert_eq!(again, (vec![], vec![differs("udp.port", "8189", "9000")]), "it waits still");
        settings.reload(&[setting("udp.port", "8189", Reload::Restart)]);
        assert_eq!(settings.told(0).settings[0].after_restart, None, "it was put back");
    }

    #[test]
    fn users_that_come_go_or_have_another_password_are_told() {
        let user = |name: &str, key: &str, value: &str, mark| {
            let key = format!("access.users.{name}.{key}");
            Setting { mark, ..setting(&key, value, Reload::Live) }
        };
        let settings = Settings::new(&[
            user("ann", "password", "argon2", 1),
            user("bob", "password", "argon2", 2),
            user("bob", "read", "gate", 3),
            user("cat", "password", "argon2", 4),
            setting("pprof.listen", ":9", Reload::Restart),
        ]);
        let next = [
            user("ann", "password", "argon2", 5),
            user("cat", "password", "argon2", 4),
            user("dan", "read", "*", 6),
            setting("ice.tcp_listen", ":8", Reload::Restart),
        ];
        let (changed, waiting) = settings.reload(&next);
        let said: Vec<String> = changed.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "access.users.ann.password (\"argon2\" to \"argon2 (another)\")",
                "access.users.dan.read (\"\" to \"*\")",
                "access.users.bob.password (\"argon2\" to \"\")",
                "access.users.bob.read (\"gate\" to \"\")",
            ]
        );
        let restart = |waiting: &[Changed]| waiting.iter().map(ToString::to_string).collect::<Vec<_>>();
        let waits = ["ice.tcp_listen (\"\" to \":8\")", "pprof.listen (\":9\" to \"\")"];
        assert_eq!(restart(&waiting), waits);
        let (changed, waiting) = settings.reload(&next);
        assert_eq!(
            (changed, restart(&waiting)),
            (vec![], waits.map(str::to_owned).to_vec()),
            "it waits still"
        );
        let (_, waiting) = settings.reload(&next[..3]);
        assert_eq!(restart(&waiting), waits[1..], "the other was taken back");
    }
}
