//! What an option that there is not was probably meant as. Other servers have an option for each setting; here a setting
//! is a key of the configuration, which `--set` sets.
//!
//! Owns the words that other servers use for our keys, and that an error does not repeat what may be secret. Never decides
//! what is an option.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use sluice_config::redact;

/// Options of other programs, and what says the same here.
const ELSEWHERE: [(&[&str], &str); 8] = [
    (&["port", "http-port", "p"], "--set http.listen=:PORT"),
    (
        &["listen", "bind", "host", "address", "addr", "http", "http-address"],
        "--set http.listen=ADDRESS:PORT",
    ),
    (&["admin-port", "metrics-port", "metrics-addr"], "--set admin.listen=ADDRESS:PORT"),
    (&["cert", "certificate", "tls-cert", "tls"], "--set http.tls.certificate=FILE"),
    (&["key", "tls-key", "private-key"], "--set http.tls.key=FILE"),
    (&["verbose", "debug", "v", "d", "log", "loglevel", "log-level"], "--set log.level=debug"),
    (&["public-ip", "external-ip", "ip", "nat", "stun"], "--set ice.addresses=ADDRESS"),
    (
        &["url", "source", "input", "i", "stream", "rtsp"],
        "NAME=URL, as in cam1=rtsp://user:password@host/path",
    ),
];

/// The error of a command line without a command, with a tip that leads somewhere if it is about an option that there is
/// not.
pub fn with_way_out(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
        && let Some(tip) = tip(argument)
    {
        // The library's own is to write `-- --port`, which makes it the name of a stream.
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The error of a command line without what may be secret in it, such as the password of a URL that cannot be read.
pub fn discreet(mut error: clap::Error) -> clap::Error {
    let said = |(kind, value): (ContextKind, &ContextValue)| match value {
        ContextValue::String(text) => Some((kind, redact(text))),
        _ => None,
    };
    let said: Vec<(ContextKind, String)> = error.context().filter_map(said).collect();
    for (kind, text) in said {
        error.insert(kind, ContextValue::String(text));
    }
    error
}

/// What to write instead of an option that there is not.
fn tip(argument: &str) -> Option<String> {
    let name = argument.trim_start_matches('-').split('=').next()?.to_ascii_lowercase().replace('_', "-");
    let elsewhere = ELSEWHERE.iter().find(|(names, _)| names.contains(&&*name));
    let written = elsewhere.map(|(_, written)| (*written).to_owned());
    // `--udp-port`, and `--udp.port` as others have it.
    let folded = |key: &str| key.replace(['.', '_'], "-");
    let key = || sluice_config::keys().into_iter().find(|key| folded(&key.path) == folded(&name));
    let written = written.or_else(|| Some(format!("--set {}=VALUE", key()?.path)))?;
    Some(format!("keys of the configuration are no options of their own: write {written}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_programs_call_an_option_leads_to_a_key() {
        for (argument, written) in [
            ("--port", "--set http.listen=:PORT"),
            ("--port=9000", "--set http.listen=:PORT"),
            ("-v", "--set log.level=debug"),
            ("--udp-port", "--set udp.port=VALUE"),
            ("--limits.viewers", "--set limits.viewers=VALUE"),
            ("--rtsp_transport", "--set rtsp.transport=VALUE"),
            ("--url", "NAME=URL, as in cam1=rtsp://user:password@host/path"),
        ] {
            let tip = tip(argument).expect(argument);
            assert!(tip.ends_with(&format!(": write {written}")), "{argument}: {tip}");
        }
        assert_eq!(tip("--frobnicate"), None);
    }

    #[test]
    fn every_key_that_is_named_there_is() {
        for (_, written) in ELSEWHERE {
            let Some(set) = written.strip_prefix("--set ") else { continue };
            let (key, _) = set.split_once('=').expect("a value");
            assert!(sluice_config::keys().iter().any(|there| there.path == key), "{key}");
        }
    }
}
