//! What can only be seen when everything was read: keys that do not go together, and streams and users that lack one.

use std::net::{IpAddr, SocketAddr};

use super::Loader;
use crate::{
    Acme, Config, Line, Misfit, RtspUrl, Stream, StreamKey, StreamPattern, error::Problem, template,
};

impl Loader {
    /// Looks at everything.
    pub(super) fn check(&mut self) {
        self.check_ports();
        self.check_listeners();
        self.check_reconnect();
        self.check_tls();
        self.check_users();
        self.finish_streams();
    }

    fn check_ports(&mut self) {
        let (port, count) = (self.draft.config.udp.port, self.draft.config.shards.count);
        let tcp_port = self.draft.config.ice.tcp_listen.map(|address| address.port());
        for (key, port) in [("udp.port", Some(port)), ("ice.tcp_listen", tcp_port)] {
            let last = u32::from(port.unwrap_or_default()) + u32::from(count.max(1)) - 1;
            if let Some(port) = port
                && last > u32::from(u16::MAX)
            {
                let highest = u32::from(u16::MAX) + 1 - u32::from(count);
                self.conflict(
                    [key, "shards.count"],
                    format!("{count} shards from `{key}` = {port} need ports up to {last}"),
                    format!("at most {highest} for {count} shards"),
                );
            }
        }
    }

    /// Listeners that would take each other's port.
    fn check_listeners(&mut self) {
        let config = &self.draft.config;
        let listeners = [
            ("http.listen", Some(config.http.listen)),
            ("admin.listen", Some(config.admin.listen)),
            ("metrics.listen", config.metrics.listen),
            ("pprof.listen", config.pprof.listen),
            ("ice.tcp_listen", config.ice.tcp_listen),
        ];
        // Each shard has one of these, from the first on.
        let shards = u32::from(config.shards.count.max(1));
        let listeners: Vec<(&str, SocketAddr, u32)> = listeners
            .into_iter()
            .filter_map(|(key, at)| Some((key, at?, if key == "ice.tcp_listen" { shards } else { 1 })))
            .filter(|(_, at, _)| at.port() != 0)
            .collect();
        for (index, &(key, at, ports)) in listeners.iter().enumerate() {
            for &(other, there, more) in &listeners[..index] {
                let first = |at: SocketAddr| u32::from(at.port());
                let apart = first(at) + ports <= first(there) || first(there) + more <= first(at);
                if !apart && meet(at.ip(), there.ip()) {
                    self.conflict(
                        [key, other],
                        format!(
                            "`{key}` = {at} and `{other}` = {there}: only one of them can have that port"
                        ),
                        format!("give {key} another port"),
                    );
                }
            }
        }
    }

    fn check_reconnect(&mut self) {
        let (min, max) = (self.draft.config.rtsp.reconnect_min, self.draft.config.rtsp.reconnect_max);
        if min > max {
            let [min, max] = [min, max].map(crate::format_duration);
            self.conflict(
                ["rtsp.reconnect_min", "rtsp.reconnect_max"],
                format!("`rtsp.reconnect_min` = {min} is longer than `rtsp.reconnect_max` = {max}"),
                "raise the one or lower the other".to_owned(),
            );
        }
    }

    fn check_tls(&mut self) {
        let Config { http, admin, .. } = &self.draft.config;
        let (http, admin) = (http.clone(), admin.tls.clone());
        let pairs = [
            ("http.tls", http.tls.certificate.as_ref(), http.tls.key.as_ref()),
            ("admin.tls", admin.certificate.as_ref(), admin.key.as_ref()),
        ];
        for (table, certificate, key) in pairs {
            let names = [format!("{table}.certificate"), format!("{table}.key")];
            let (there, missing) = match (certificate, key) {
                (Some(_), None) => (&names[0], &names[1]),
                (None, Some(_)) => (&names[1], &names[0]),
                _ => continue,
            };
            self.conflict(
                [&names[0], &names[1]],
                format!("`{there}` without `{missing}`"),
                format!("set {missing} too, or neither of them for plain HTTP"),
            );
        }
        if http.tls.acme.is_on() && http.tls.certificate.is_some() {
            self.conflict(
                ["http.tls.acme.domains", "http.tls.certificate"],
                "`http.tls.acme.domains` beside `http.tls.certificate`: one listener shows one certificate"
                    .to_owned(),
                "take one of them out".to_owned(),
            );
        }
        let (acme, usual) = (&http.tls.acme, Acme::default());
        for (key, is_set) in [
            ("contact", acme.contact != usual.contact),
            ("directory", acme.directory != usual.directory),
            ("cache", acme.cache != usual.cache),
            ("root", acme.root != usual.root),
        ] {
            if is_set && !acme.is_on() {
                let key = format!("http.tls.acme.{key}");
                self.conflict(
                    [&key, "http.tls.acme.domains"],
                    format!("`{key}` without `http.tls.acme.domains`: no certificate is asked for"),
                    "set http.tls.acme.domains too, or take this out".to_owned(),
                );
            }
        }
        if !http.hsts.is_zero() && !http.tls.is_on() {
            self.conflict(
                ["http.hsts", "http.tls.certificate"],
                "`http.hsts` without `http.tls.certificate`: plain HTTP may not ask for it (RFC 6797 §7.2)"
                    .to_owned(),
                "where a proxy does TLS, let it send the header".to_owned(),
            );
        }
    }

    fn check_users(&mut self) {
        for (name, user) in &self.draft.config.access.users {
            let table = format!("access.users.{name}");
            let refused = |key: &str| self.refused.contains(&format!("{table}.{key}"));
            if user.password.is_some() || !user.from.is_empty() || refused("password") || refused("from") {
                continue;
            }
            let problem = Problem::new(format!("the user `{name}` has neither a password nor addresses"));
            let label = format!("set {table}.password, or {table}.from for whoever comes from there");
            self.problems.push(match self.tables.get(&table) {
                Some(place) => problem.at(place.clone(), label),
                None => problem.help(label),
            });
        }
    }

    /// Two keys that do not go together; shown at the first of them that somebody wrote.
    fn conflict(&mut self, keys: [&str; 2], message: String, label: String) {
        if keys.iter().any(|key| self.refused.contains(*key)) {
            return;
        }
        let problem = Problem::new(message);
        let place = keys.iter().find_map(|key| self.places.get(*key)).map(|(place, _)| place.clone());
        self.problems.push(match place {
            Some(place) => problem.at(place, label),
            None => problem.help(label),
        });
    }

    /// What a stream says of its camera's media and certificate has to fit what its URL says.
    fn check_line(&mut self, name: &StreamKey, stream: &Stream) {
        let lines: Vec<Line> = stream.source.cameras().map(RtspUrl::line).collect();
        for misfit in Misfit::all(&lines, stream.rtsp_transport, !stream.rtsp_fingerprint.is_empty()) {
            let key = |key: &str| format!("streams.{name}.{key}");
            let keys = [&*key(misfit.key()), &key("source")];
            self.conflict(keys, format!("the stream `{name}` {misfit}"), misfit.help().to_owned());
        }
    }

    fn finish_streams(&mut self) {
        for (key, draft) in std::mem::take(&mut self.draft.streams) {
            let Some(stream) = draft.finish() else { continue };
            self.check_line(&key, &stream);
            match key {
                StreamKey::Name(name) => _ = self.draft.config.streams.insert(name, stream),
                StreamKey::Pattern(pattern) => {
                    self.check_pattern(&pattern, &stream);
                    self.draft.config.patterns.insert(pattern, stream);
                }
            }
        }
        // A table counts even if it is empty.
        for (name, place) in &self.named {
            let source = format!("streams.{name}.source");
            let has_source =
                name.parse().is_ok_and(|key: StreamKey| self.draft.config.said_of(&key).is_some());
            if !has_source && !self.refused.contains(&source) {
                self.problems.push(
                    Problem::new(format!("the stream `{name}` has no source"))
                        .at(place.clone(), format!("add {source}")),
                );
            }
        }
    }

    /// What its streams are made of.
    fn check_pattern(&mut self, pattern: &StreamPattern, stream: &Stream) {
        let table = format!("streams.{pattern:?}");
        if let Err(why) = template::check(&stream.source, pattern.groups()) {
            let key = format!("streams.{}.source", pattern.as_str());
            let label = "$1 is what the first (group) of the pattern finds in the name".to_owned();
            self.conflict([&key, &key], format!("`{table}.source`: {why}"), label);
        }
        if stream.on_demand == Some(false) {
            let key = format!("streams.{}.on_demand", pattern.as_str());
            let why = "streams of a pattern are made when somebody asks for one, so they are on demand";
            self.conflict([&key, &key], format!("`{table}.on_demand`: {why}"), "leave it out".to_owned());
        }
    }
}

/// Whether two listeners on these addresses cannot have one port: `[::]` takes IPv4 along.
fn meet(one: IpAddr, other: IpAddr) -> bool {
    let (one, other) = (one.to_canonical(), other.to_canonical());
    let takes = |all: IpAddr, other: IpAddr| all.is_unspecified() && (all.is_ipv6() || other.is_ipv4());
    one == other || takes(one, other) || takes(other, one)
}
