//! The configuration as MediaMTX's control API tells its own.
//!
//! Owns which of its keys have something to say of this server; all others have the value that says "off" or "none"
//! (`defaults.json`). Of sources host and port are told, and no password or path.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use sluice_config::{Config, IceAddress, Origin, Transport};

use crate::stream::Stream;

static DEFAULTS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("defaults.json")).expect("the file is JSON"));

/// All that is not of one path.
pub(super) fn global(config: &Config) -> Value {
    let Config { http, admin, pprof, udp, ice, limits, log, .. } = config;
    let file = |path: Option<&Path>| path.map(|path| path.display().to_string()).unwrap_or_default();
    let hosts = ice.addresses.iter().filter_map(|address| match address {
        IceAddress::Ip(ip) => Some(ip.to_string()),
        IceAddress::Host(name) => Some(name.clone()),
        IceAddress::Interfaces => None,
    });
    let hosts: Vec<String> = hosts.collect();
    let handshake = sluice_config::format_duration(limits.setup_timeout);
    let metrics = config.metrics.listen.unwrap_or(admin.listen);
    let said = json!({
        "logLevel": log.level,
        "apiAddress": listen(admin.listen),
        "apiEncryption": admin.tls.files().is_some(),
        "apiServerKey": file(admin.tls.key.as_deref()),
        "apiServerCert": file(admin.tls.certificate.as_deref()),
        "metricsAddress": listen(metrics),
        "pprofAddress": listen(pprof.listen.unwrap_or(admin.listen)),
        "webrtcAddress": listen(http.listen),
        "webrtcEncryption": http.tls.is_on(),
        "webrtcServerKey": file(http.tls.key.as_deref()),
        "webrtcServerCert": file(http.tls.certificate.as_deref()),
        "webrtcAllowOrigins": http.allow_origin.iter().map(Origin::as_str).collect::<Vec<_>>(),
        "webrtcTrustedProxies": http.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "webrtcLocalUDPAddress": listen(SocketAddr::new(udp.address, udp.port)),
        "webrtcIPsFromInterfaces": hosts.is_empty() || ice.addresses.contains(&IceAddress::Interfaces),
        "webrtcIPsFromInterfacesList": ice.interfaces,
        "webrtcAdditionalHosts": hosts,
        "webrtcHandshakeTimeout": handshake,
    });
    over("global", said)
}

/// What paths have that say nothing else.
pub(super) fn path_defaults(config: &Config) -> Value {
    over("path", json!({ "rtspTransport": transport(config.rtsp.transport) }))
}

/// One path.
pub(super) fn path(stream: &Stream) -> Value {
    let origin = stream.origin();
    let said = json!({
        "name": stream.name,
        "source": origin.source.label(),
        "rtspTransport": transport(origin.rtsp.transport),
    });
    over("path", said)
}

/// What a key of a path is where nothing is said.
pub(super) fn default_of_path(key: &str) -> Option<&'static Value> {
    DEFAULTS["path"].get(key)
}

/// `said` over the defaults of that part.
fn over(part: &str, said: Value) -> Value {
    let mut all: Map<String, Value> = DEFAULTS[part].as_object().cloned().unwrap_or_default();
    if let Value::Object(said) = said {
        all.extend(said);
    }
    Value::Object(all)
}

/// An address to listen on as they write it: without a host if it is all.
fn listen(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!(":{}", address.port()) } else { address.to_string() }
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_has_a_default_of_the_same_type() {
        let config = Config::default();
        for (part, said) in [("global", global(&config)), ("path", path_defaults(&config))] {
            let default = DEFAULTS[part].as_object().expect("a table");
            let said = said.as_object().expect("a table");
            assert_eq!(said.len(), default.len(), "{part}");
            for (key, value) in said {
                let same = std::mem::discriminant(value) == std::mem::discriminant(&default[key]);
                assert!(same, "{key} is {value}");
            }
        }
        assert_eq!(global(&config)["webrtcLocalUDPAddress"], ":8189");
        assert_eq!(global(&config)["apiAddress"], "127.0.0.1:9997");
    }
}
