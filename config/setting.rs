//! Each key with the value that it has and who gave it, for whoever has to find out why a server does what it does. A
//! source is shown by its label, a password by its form, and every other value redacted: no secret is in here.

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

use crate::{Config, KeyInfo, KeySource, Reload, redact::redact, schema};

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `udp.port`, `streams.gate.source`.
    pub key: String,
    /// As a variable would say it: without TOML's quotes, lists with commas.
    pub value: String,
    /// Who gave it.
    pub origin: Given,
    /// What a change of it needs.
    pub reload: Reload,
    /// Tells values apart that are shown alike, as two passwords are; of this process only.
    pub mark: u64,
}

/// A mark for a value as it was written. Its key is made anew for each process, so it tells nothing of the value.
fn mark(written: &str) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(written)
}

/// Who gave a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Nobody.
    Default,
    /// A line of a file, from 1.
    File(String, usize),
    /// A `SLUICE_*` variable.
    Variable,
    /// `--set` or `NAME=URL`.
    Argument,
    /// The API, while the server ran.
    Api,
}

impl std::fmt::Display for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name, line) => write!(f, "{name}:{line}"),
            Self::Variable => f.write_str("environment"),
            Self::Argument => f.write_str("command line"),
            Self::Api => f.write_str("API"),
        }
    }
}

/// A whole configuration, and where each part of it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// The configuration.
    pub config: Config,
    /// Its keys in the order of the reference file, then those of streams by name.
    pub settings: Vec<Setting>,
}

impl Effective {
    /// `given` are the keys that somebody wrote: value and origin of each.
    pub(crate) fn new(config: Config, mut given: impl FnMut(&str) -> Option<(String, Given)>) -> Self {
        let mut settings = Vec::new();
        let mut tell = |info: &KeyInfo, key: String, value: Option<String>| {
            let (written, origin) = match (given(&key), info.default) {
                (Some(given), _) => given,
                (None, Some(default)) => (bare(default), Given::Default),
                // Nobody wrote it, and the one that is served then is not the configuration's.
                (None, None) => return,
            };
            let mark = mark(&written);
            let value = redact(&value.unwrap_or(written).replace('\n', " "));
            settings.push(Setting { key, value, origin, reload: info.reload, mark });
        };
        let of = |table: &'static str| move |key: &KeyInfo| key.path.starts_with(table);
        let (of_streams, keys): (Vec<_>, Vec<_>) = schema::keys().into_iter().partition(of("streams."));
        let (of_users, keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(of("access.users."));
        for key in &keys {
            // A URL's query may hold a secret that no rule knows, as its user and password may.
            let url = match (&key.path[..], &config.access.hook.url, &config.access.jwt.keys) {
                ("access.hook.url", Some(url), _) | ("access.jwt.keys", _, Some(KeySource::Url(url))) => {
                    Some(url.to_string())
                }
                _ => None,
            };
            tell(key, key.path.clone(), url);
        }
        for (name, user) in &config.access.users {
            for key in &of_users {
                let password = user.password.as_ref().filter(|_| key.path.ends_with(".password"));
                let path = key.path.replace("NAME", name.as_str());
                tell(key, path, password.map(|password| password.form().to_owned()));
            }
        }
        let named = config.streams.iter().map(|(name, stream)| (name.as_str(), stream));
        let patterns = config.patterns.iter().map(|(pattern, stream)| (pattern.as_str(), stream));
        for (name, stream) in named.chain(patterns) {
            for key in &of_streams {
                // A camera's URL may hold a password that no rule knows.
                let value = key.path.ends_with(".source").then(|| stream.source.label());
                tell(key, key.path.replacen("NAME", name, 1), value);
            }
        }
        Self { config, settings }
    }
}

/// A default of the schema without TOML's marks, as a variable would say it.
fn bare(default: &str) -> String {
    if let Some(list) = default.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return list.split(", ").map(|element| element.trim_matches('"')).collect::<Vec<_>>().join(",");
    }
    let quoted = default.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    quoted.unwrap_or(default).to_owned()
}
