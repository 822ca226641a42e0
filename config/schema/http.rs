//! Keys of `[http]`: the public listener, its TLS and ACME.

use std::time::Duration;

use super::{Draft, LISTEN, MINUTE, NETWORKS, PEM, TENTH, each, key};
use crate::{
    Reload::{Live, NewSessions, Restart},
    acme, parse,
    resolve::Key,
    value::{Kind, Refusal},
};

/// What browsers take lists of such sites for (hstspreload.org).
const TWO_YEARS: Duration = Duration::from_secs(2 * 365 * 24 * 3600);

// The casts below are within the range that stands beside them.
pub(super) static KEYS: &[Key<Draft>] = &[
    key(
        "http.listen",
        "\"[::]:8889\"",
        Restart,
        Kind::Text(LISTEN, |d, v| parse::listen(v).map(|a| d.config.http.listen = a)),
    ),
    key(
        "http.allow_origin",
        "[\"*\"]",
        Live,
        Kind::List("\"*\", or origins like \"https://tv.example.com\"", |d, v| {
            each(v, parse::origin).map(|origins| d.config.http.allow_origin = origins)
        }),
    ),
    key(
        "http.header_timeout",
        "\"5s\"",
        NewSessions,
        Kind::Duration(TENTH, MINUTE, |d, v| d.config.http.header_timeout = v),
    ),
    key(
        "http.connections",
        "0",
        Restart,
        Kind::Integer(0, 1_000_000, |d, v| d.config.http.connections = v as u32),
    ),
    key(
        "http.trusted_proxies",
        "[]",
        NewSessions,
        Kind::List(NETWORKS, |d, v| {
            each(v, parse::network).map(|networks| d.config.http.trusted_proxies = networks)
        }),
    ),
    key(
        "http.hsts",
        "\"0s\"",
        Restart,
        Kind::Duration(Duration::ZERO, TWO_YEARS, |d, v| d.config.http.hsts = v),
    ),
    key(
        "http.tls.certificate",
        "\"\"",
        Restart,
        Kind::Text(PEM, |d, v| parse::file(v).map(|file| d.config.http.tls.certificate = file)),
    ),
    key(
        "http.tls.key",
        "\"\"",
        Restart,
        Kind::Text(PEM, |d, v| parse::file(v).map(|file| d.config.http.tls.key = file)),
    ),
    key(
        "http.tls.acme.domains",
        "[]",
        Restart,
        Kind::List("DNS names, 100 at the most", |d, v| {
            if v.len() > acme::DOMAINS_MAX {
                return Err(vec![(
                    acme::DOMAINS_MAX,
                    Refusal::new("a certificate has 100 names at the most"),
                )]);
            }
            each(v, acme::domain).map(|domains| d.config.http.tls.acme.domains = domains)
        }),
    ),
    key(
        "http.tls.acme.contact",
        "\"\"",
        Restart,
        Kind::Text("\"\" for none, or a mail address", |d, v| {
            acme::contact(v).map(|contact| d.config.http.tls.acme.contact = contact)
        }),
    ),
    key(
        "http.tls.acme.directory",
        "\"https://acme-v02.api.letsencrypt.org/directory\"",
        Restart,
        Kind::Text("the https:// URL of a directory", |d, v| {
            acme::directory(v).map(|url| d.config.http.tls.acme.directory = url)
        }),
    ),
    key(
        "http.tls.acme.cache",
        "\"/var/lib/sluice/acme\"",
        Restart,
        Kind::Text("the path of a folder", |d, v| match parse::file(v)? {
            Some(path) => {
                d.config.http.tls.acme.cache = path;
                Ok(())
            }
            None => Err(Refusal::new("a certificate has to be kept, or each start asks for another")
                .meant(acme::CACHE)),
        }),
    ),
    key(
        "http.tls.acme.root",
        "\"\"",
        Restart,
        Kind::Text(PEM, |d, v| parse::file(v).map(|file| d.config.http.tls.acme.root = file)),
    ),
];
