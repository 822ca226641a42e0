//! The configuration as MediaMTX's control API tells its own.
//!
//! Owns which of its keys have something to say of this server; all others have the value that says "off" or "none"
//! (`defaults.json`), for what is told is in effect. A word of a list of theirs that has none for that, such as a codec of
//! recordings, is the one that MediaMTX has: what it is of is off. Of sources host and port are told, of URLs no query, of users
//! nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use sluice_config::{
    Access, Action, Config, Fingerprint, IceAddress, KeySource, LogFormat, OnDemand, Origin, Tls, Transport,
    format_duration,
};
use sluice_media::DATAGRAM_MAX;

use crate::http::access::rules::Rules;
use crate::stream::Stream;

static DEFAULTS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("defaults.json")).expect("the file is JSON"));

/// All that is not of one path.
pub(super) fn global(config: &Config) -> Value {
    let Config { http, admin, metrics, pprof, udp, ice, limits, log, rtsp, .. } = config;
    let file = |path: Option<&Path>| path.map(|path| path.display().to_string()).unwrap_or_default();
    // What has no listener of its own is on the admin listener, with its TLS.
    let none = Tls::default();
    let [of_metrics, of_pprof] = [metrics.listen, pprof.listen].map(|own| match own {
        Some(address) => (address, &none),
        None => (admin.listen, &admin.tls),
    });
    let proxies: Vec<String> = http.trusted_proxies.iter().map(ToString::to_string).collect();
    let hosts = ice.addresses.iter().filter_map(|address| match address {
        IceAddress::Ip(ip) => Some(ip.to_string()),
        IceAddress::Host(name) => Some(name.clone()),
        IceAddress::Interfaces => None,
    });
    let hosts: Vec<String> = hosts.collect();
    let said = json!({
        "logLevel": log.level,
        "logStructured": log.format == LogFormat::Json,
        "readTimeout": format_duration(rtsp.data_timeout),
        "udpMaxPayloadSize": DATAGRAM_MAX,
        "udpReadBufferSize": udp.receive_buffer.as_usize(),
        "apiAddress": listen(admin.listen),
        "apiEncryption": admin.tls.files().is_some(),
        "apiServerKey": file(admin.tls.key.as_deref()),
        "apiServerCert": file(admin.tls.certificate.as_deref()),
        "apiTrustedProxies": proxies,
        "metricsAddress": listen(of_metrics.0),
        "metricsEncryption": of_metrics.1.files().is_some(),
        "metricsServerKey": file(of_metrics.1.key.as_deref()),
        "metricsServerCert": file(of_metrics.1.certificate.as_deref()),
        "metricsTrustedProxies": proxies,
        "pprofAddress": listen(of_pprof.0),
        "pprofEncryption": of_pprof.1.files().is_some(),
        "pprofServerKey": file(of_pprof.1.key.as_deref()),
        "pprofServerCert": file(of_pprof.1.certificate.as_deref()),
        "pprofTrustedProxies": proxies,
        "webrtcAddress": listen(http.listen),
        "webrtcEncryption": http.tls.is_on(),
        "webrtcServerKey": file(http.tls.key.as_deref()),
        "webrtcServerCert": file(http.tls.certificate.as_deref()),
        "webrtcAllowOrigins": http.allow_origin.iter().map(Origin::as_str).collect::<Vec<_>>(),
        "webrtcTrustedProxies": proxies,
        "webrtcLocalUDPAddress": listen(SocketAddr::new(udp.address, udp.port)),
        "webrtcLocalTCPAddress": ice.tcp_listen.map(listen).unwrap_or_default(),
        "webrtcIPsFromInterfaces": hosts.is_empty() || ice.addresses.contains(&IceAddress::Interfaces),
        "webrtcIPsFromInterfacesList": ice.interfaces,
        "webrtcAdditionalHosts": hosts,
        "webrtcHandshakeTimeout": format_duration(limits.setup_timeout),
    });
    over("global", [said, authentication(&config.access)])
}

/// Who is asked about people: of theirs there is one way, so it is the one that decides last.
fn authentication(access: &Access) -> Value {
    let rules = Rules::new(access, 0);
    let open = |asked: &[Action]| {
        let open = Action::ALL.into_iter().filter(|action| !asked.contains(action) && rules.is_open(*action));
        open.map(|action| json!({ "action": action.name(), "path": "" })).collect::<Vec<_>>()
    };
    let (jwt, hook) = (&access.jwt, &access.hook);
    match (&hook.url, &jwt.keys) {
        (Some(url), _) => json!({
            "authMethod": "http",
            "authHTTPAddress": url.to_string(),
            "authHTTPExclude": open(&hook.actions),
        }),
        (None, Some(keys)) => json!({
            "authMethod": "jwt",
            "authJWTJWKS": match keys {
                KeySource::File(path) => path.display().to_string(),
                KeySource::Url(url) => url.to_string(),
            },
            "authJWTClaimKey": jwt.claim,
            "authJWTExclude": open(&jwt.actions),
            "authJWTIssuer": jwt.issuer,
            "authJWTAudience": jwt.audience,
        }),
        (None, None) => json!({}),
    }
}

/// What paths have that say nothing else.
pub(super) fn path_defaults(config: &Config) -> Value {
    let said = json!({ "rtspTransport": transport(config.rtsp.transport) });
    over("path", [of_every_path(config), on_demand(config.on_demand), said])
}

/// One path.
pub(super) fn path(config: &Config, stream: &Stream) -> Value {
    let origin = stream.origin();
    let said = json!({
        "name": stream.name,
        "source": stream.source(),
        "rtspTransport": transport(origin.rtsp.transport),
        "sourceFingerprint": fingerprints(&origin.rtsp.fingerprint),
    });
    over("path", [of_every_path(config), on_demand(origin.on_demand), said])
}

/// What lies between the fingerprints of several cameras, where theirs have one: a text that is sent back means the same.
pub(super) const BETWEEN_FINGERPRINTS: char = ',';

fn fingerprints(all: &[Fingerprint]) -> String {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    all.join(&BETWEEN_FINGERPRINTS.to_string())
}

fn on_demand(OnDemand { enabled, start_timeout, close_after, .. }: OnDemand) -> Value {
    json!({
        "sourceOnDemand": enabled,
        "sourceOnDemandStartTimeout": format_duration(start_timeout),
        "sourceOnDemandCloseAfter": format_duration(close_after),
    })
}

/// What is of each of them, and in one place here.
fn of_every_path(config: &Config) -> Value {
    json!({ "maxReaders": config.limits.viewers_per_stream.map_or(0, u32::from) })
}

/// Whether a key of a path may have a value in a change, because it is what is told of each path, or what MediaMTX has
/// where nobody says anything.
pub(super) fn is_usual_of_path(config: &Config, key: &str, value: &Value) -> bool {
    path_defaults(config).get(key) == Some(value) || DEFAULTS["usual"].get(key) == Some(value)
}

/// What is said over the defaults of that part.
fn over<const N: usize>(part: &str, said: [Value; N]) -> Value {
    let mut all: Map<String, Value> = DEFAULTS[part].as_object().cloned().unwrap_or_default();
    for said in said {
        if let Value::Object(said) = said {
            all.extend(said);
        }
    }
    Value::Object(all)
}

/// An address to listen on as they write it: without a host if it is all.
fn listen(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!(":{}", address.port()) } else { address.to_string() }
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Auto => "automatic",
        other => other.name(),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
