//! What MediaMTX's file says outside of users and paths: listeners, addresses, time limits, the log.
//!
//! Owns how each key becomes one or several of ours.

use std::time::Duration;

use sluice_config::go_duration;

use super::document::Toml;
use super::report::{At, Part};
use super::users::is_served;
use super::yaml::Node;
use super::{Import, accepted};

/// Takes all of it.
pub(super) fn take(import: &mut Import<'_>) {
    log(import);
    public(import);
    operators(import);
    media(import);
    cameras(import);
    others(import);
}

fn log(import: &mut Import<'_>) {
    if let Some((at, node)) = import.key("logLevel") {
        import.put(at, "log.level", node.text().unwrap_or_default().to_ascii_lowercase().as_str().into());
    }
    if let Some((at, _)) = import.key("logStructured").filter(|(_, node)| node.truth() == Some(true)) {
        import.put(at, "log.format", "json".into());
    }
}

/// The listener of pages and signalling.
fn public(import: &mut Import<'_>) {
    if let Some((at, node)) = import.key("webrtcAddress") {
        import.put(at, "http.listen", address(node));
    }
    for (key, off) in [("webrtc", false), ("webrtcDisable", true)] {
        if let Some((at, _)) = import.key(key).filter(|(_, node)| node.truth() == Some(off)) {
            let words = "WebRTC is what Sluice is for: it is on, and the rest is taken over";
            import.report.add(Part::Missing, at, words);
        }
    }
    let names = ["webrtcEncryption", "webrtcServerCert", "webrtcServerKey"];
    encryption(import, names, "http.tls");
    if let Some((at, node)) = import.any(&["webrtcAllowOrigins", "webrtcAllowOrigin"]) {
        origins(import, at, node);
    }
    if let Some((at, node)) = import.key("webrtcTrustedProxies").filter(|(_, node)| !node.is_off()) {
        import.put(at, "http.trusted_proxies", list(node));
    }
}

/// Web sites one by one, so that one that is refused does not take the others along.
fn origins(import: &mut Import<'_>, at: At<'_>, node: &Node) {
    let of = |origins: &[String]| Toml::List(origins.to_vec());
    let said = node
        .texts()
        .into_iter()
        .filter(|origin| !origin.is_empty())
        .map(|origin| origin.trim_end_matches('/').to_owned());
    let (taken, refused): (Vec<String>, Vec<String>) = said.partition(|origin| {
        accepted(format!("http.allow_origin = {}", of(std::slice::from_ref(origin)))).is_ok()
    });
    for origin in refused {
        import.put(at, "http.allow_origin", of(&[origin]));
    }
    // An empty list closes what is open unless somebody says otherwise.
    import.put(at, "http.allow_origin", of(&taken));
}

/// The control API, metrics and profiles.
fn operators(import: &mut Import<'_>) {
    if import.is_on("api", false) {
        listener(import, "apiAddress", ":9997", "admin.listen");
        let names = ["apiEncryption", "apiServerCert", "apiServerKey"];
        encryption(import, names, "admin.tls");
    }
    if import.is_on("metrics", false) {
        listener(import, "metricsAddress", ":9998", "metrics.listen");
        let at = switch(import, "metrics");
        import.put(at, "compat.mediamtx_metrics", Toml::Truth(true));
    }
    if import.is_on("pprof", false) {
        listener(import, "pprofAddress", ":9999", "pprof.listen");
    }
    if is_served(import) {
        let words = "admin.listen, metrics.listen and pprof.listen answer to IP addresses and to localhost. Whoever asks by \
                     another name, as Prometheus or go tool pprof may, gets 421 until that name is in admin.hosts.";
        import.report.notes.push(words.to_owned());
    }
}

/// Where a listener is that a switch turns on, or where MediaMTX has it.
fn listener(import: &mut Import<'_>, key: &'static str, usual: &str, ours: &str) {
    match import.key(key) {
        Some((at, node)) => import.put(at, ours, address(node)),
        None => import.put(At { key, line: 0, path: None }, ours, usual.into()),
    };
}

/// An address to listen on. The one name that is the same everywhere becomes an address, so that it does not open what
/// was closed.
fn address(node: &Node) -> Toml {
    let said = node.text().unwrap_or_default();
    match said.rsplit_once(':') {
        Some(("localhost", port)) => Toml::Text(format!("127.0.0.1:{port}")),
        _ => said.into(),
    }
}

fn switch<'a>(import: &Import<'a>, key: &'static str) -> At<'a> {
    import.key(key).map_or(At { key, line: 0, path: None }, |(at, _)| at)
}

/// Certificate and key, which go together.
fn encryption(import: &mut Import<'_>, [on, certificate, key]: [&'static str; 3], table: &str) {
    if !import.is_on(on, false) {
        return;
    }
    let file = |name: &'static str, usual: &str| {
        let said = import.key(name).and_then(|(_, node)| node.text());
        Toml::from(said.filter(|path| !path.is_empty()).unwrap_or(usual))
    };
    let (chain, secret) = (file(certificate, "server.crt"), file(key, "server.key"));
    let at = switch(import, on);
    match accepted(format!("{table}.certificate = {chain}\n{table}.key = {secret}")) {
        Ok(()) => {
            import.document.set(table, "certificate", &chain, certificate);
            import.document.set(table, "key", &secret, key);
            let words = format!(
                "{table}.certificate = {chain}, {table}.key = {secret}; a path is relative to where sluice is started"
            );
            import.report.add(Part::Taken, at, words);
        }
        Err(why) => import.report.add(Part::Missing, at, format!("{table} does not take it: {why}")),
    }
}

/// The sockets of media, and what viewers are told of them.
fn media(import: &mut Import<'_>) {
    if let Some((at, node)) = import.any(&["webrtcLocalUDPAddress", "webrtcICEUDPMuxAddress"]) {
        let (host, port) = node.text().unwrap_or_default().rsplit_once(':').unwrap_or_default();
        match port.parse() {
            Ok(port) => {
                import.put(at, "udp.port", Toml::Number(port));
                if !host.is_empty() {
                    import.put(at, "udp.address", host.trim_matches(['[', ']']).into());
                }
            }
            Err(_) => {
                let words = "media leaves by one socket a shard, from udp.port on: 8189 unless it is set";
                import.report.add(Part::Missing, at, words);
            }
        }
        let words = "Media uses one UDP port for each shard: udp.port and those behind it, as the start says. The firewall \
                     has to let them all in; shards.count = 1 uses one.";
        import.report.notes.push(words.to_owned());
    }
    let tcp = import.any(&["webrtcLocalTCPAddress", "webrtcICETCPMuxAddress"]);
    if let Some((at, node)) = tcp.filter(|(_, node)| !node.is_off())
        && import.put(at, "ice.tcp_listen", address(node))
    {
        let words = "Viewers without UDP have one TCP port for each shard: that of ice.tcp_listen and those behind it. The \
                     firewall has to let them all in, too.";
        import.report.notes.push(words.to_owned());
    }
    let hosts = import.any(&["webrtcAdditionalHosts", "webrtcICEHostNAT1To1IPs"]);
    let from_interfaces = import.is_on("webrtcIPsFromInterfaces", true);
    match hosts.filter(|(_, node)| !node.texts().is_empty()) {
        Some((at, node)) => {
            let mut addresses: Vec<String> = node.texts().into_iter().map(str::to_owned).collect();
            addresses.extend(from_interfaces.then(|| "interfaces".to_owned()));
            import.put(at, "ice.addresses", Toml::List(addresses));
        }
        None if !from_interfaces => {
            let words = "viewers need an address: put those that they reach into ice.addresses";
            import.report.add(Part::Missing, switch(import, "webrtcIPsFromInterfaces"), words);
        }
        None => {}
    }
    if let Some((at, node)) = import.key("webrtcIPsFromInterfacesList").filter(|(_, node)| !node.is_off()) {
        import.put(at, "ice.interfaces", list(node));
    }
    if let Some((at, limit)) = duration(import, "webrtcHandshakeTimeout", 10) {
        import.put(at, "limits.setup_timeout", limit);
    }
    if let Some((at, node)) = import.key("udpReadBufferSize").filter(|(_, node)| !node.is_off()) {
        let bytes = node.text().and_then(|text| text.parse().ok()).unwrap_or(0);
        import.put(at, "udp.receive_buffer", Toml::Number(bytes));
    }
}

/// How long cameras may be silent.
fn cameras(import: &mut Import<'_>) {
    if let Some((at, limit)) = duration(import, "readTimeout", 10) {
        import.put(at, "rtsp.data_timeout", limit.clone());
        import.put(at, "rtsp.request_timeout", limit);
    }
}

/// What MediaMTX runs unless it is told not to.
fn others(import: &mut Import<'_>) {
    let servers =
        [("rtsp", "rtspDisable"), ("rtmp", "rtmpDisable"), ("hls", "hlsDisable"), ("srt", ""), ("moq", "")];
    let runs =
        |(on, off): &(&'static str, &'static str)| import.key(on).is_none() && !import.is_on(off, false);
    let running: Vec<&str> = servers.into_iter().filter(runs).map(|(server, _)| server).collect();
    if !running.is_empty() {
        import.report.notes.push(format!(
            "MediaMTX also serves {} unless its file says no, and Sluice does not: look whether somebody watches or sends by these.",
            running.join(", ")
        ));
    }
}

/// A time that is not what MediaMTX has anyway.
fn duration<'a>(import: &mut Import<'a>, key: &'static str, usual: u64) -> Option<(At<'a>, Toml)> {
    let (at, node) = import.key(key)?;
    match node.text().and_then(go_duration) {
        Some(said) if said == Duration::from_secs(usual) => None,
        Some(said) => Some((at, sluice_config::format_duration(said).as_str().into())),
        None => {
            import.report.add(Part::Missing, at, "this is no time as MediaMTX writes it");
            None
        }
    }
}

fn list(node: &Node) -> Toml {
    Toml::List(node.texts().into_iter().map(str::to_owned).collect())
}
