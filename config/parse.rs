//! Addresses, origins, names and log filters: texts that have a grammar of their own. Each function takes the text of one
//! value and says what is wrong with it; none looks anything up on the network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use url::Url;

use crate::{
    Action, Bitrate, Fingerprint, IceAddress, KeySource, Network, Origin, Pattern, RtspUrl, Source,
    UnitError, WebUrl, redact::shown, suggest::nearest, value::Refusal,
};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// `none`, or as [`listen`].
pub(crate) fn listen_or_none(text: &str) -> Result<Option<SocketAddr>, Refusal> {
    if text == "none" { Ok(None) } else { listen(text).map(Some) }
}

/// `ADDRESS:PORT`, or `:PORT` for all addresses of both families.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, Refusal> {
    let port = |port: &str| port.parse::<u16>().ok();
    if let Some(port) = text.strip_prefix(':').and_then(port) {
        return Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    }
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let refusal = Refusal::new(format!("`{}` is not an IP address and a port", shown(text)));
    Err(match text.rsplit_once(':') {
        Some(("localhost", number)) if port(number).is_some() => refusal.meant(format!("127.0.0.1:{number}")),
        Some(("*", number)) if port(number).is_some() => refusal.meant(format!(":{number}")),
        None if port(text).is_some() => refusal.meant(format!(":{text}")),
        _ => refusal,
    })
}

/// A file by its path; none where it is empty.
pub(crate) fn file(text: &str) -> Result<Option<PathBuf>, Refusal> {
    if text.starts_with('~') {
        return Err(Refusal::new(format!(
            "`{}` begins with a home folder, which only a shell knows: write the whole path",
            shown(text)
        )));
    }
    if text.contains('\0') {
        return Err(Refusal::new(format!("`{}` is no path", shown(text))));
    }
    Ok(Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty()))
}

/// Values of `access.jwt.algorithm`: the first leaves it to the keys.
pub(crate) const JWT_ALGORITHMS: [&str; 13] = [
    "auto", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384", "EdDSA",
];

/// Where keys of tokens are: a URL, or the path of a file; none where it is empty.
pub(crate) fn key_source(text: &str) -> Result<Option<KeySource>, Refusal> {
    match text.contains("://") {
        true => web_url(text).map(|url| url.map(KeySource::Url)),
        false => file(text).map(|path| path.map(KeySource::File)),
    }
}

/// Another server's URL; none where it is empty.
pub(crate) fn web_url(text: &str) -> Result<Option<WebUrl>, Refusal> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(Refusal::new) }
}

/// Names of streams.
pub(crate) fn pattern(text: &str) -> Result<Pattern, Refusal> {
    text.parse().map_err(|why: String| Refusal::new(why))
}

/// What somebody may do.
pub(crate) fn action(text: &str) -> Result<Action, Refusal> {
    let names = Action::ALL.map(Action::name);
    let found = Action::ALL.into_iter().find(|action| action.name() == text);
    found.ok_or_else(|| {
        let refusal = Refusal::new(format!("`{}` is not known", shown(text)));
        Refusal { meant: nearest(text, names).map(str::to_owned), ..refusal }
    })
}

/// What a line carries, at least 1 Mbit/s; or 0.
pub(crate) fn bitrate(text: &str) -> Result<Bitrate, Refusal> {
    let rate: Bitrate = text.parse().map_err(|error: UnitError| {
        let refusal = Refusal::new(format!("`{}` {error}", shown(text)));
        Refusal { meant: error.suggestion, ..refusal }
    })?;
    let no_limit = Bitrate::new(0);
    if rate != no_limit && rate < Bitrate::new(1_000_000) {
        return Err(Refusal::new(format!("`{rate}` is less than one picture takes")).meant(no_limit));
    }
    Ok(rate)
}

pub(crate) fn ip(text: &str) -> Result<IpAddr, Refusal> {
    text.parse().map_err(|_| {
        let refusal = Refusal::new(format!("`{}` is not an IP address", shown(text)));
        match (text, text.parse::<SocketAddr>()) {
            (_, Ok(address)) => refusal.meant(address.ip()),
            ("*" | "", _) => refusal.meant(Ipv6Addr::UNSPECIFIED),
            ("localhost", _) => refusal.meant(Ipv4Addr::LOCALHOST),
            _ => refusal,
        }
    })
}

/// A host name as clients write it in a URL.
pub(crate) fn host_name(text: &str) -> Result<String, Refusal> {
    ice_address(text).map(|_| text.to_ascii_lowercase())
}

/// An address, or a network as `ADDRESS/BITS`.
pub(crate) fn network(text: &str) -> Result<Network, Refusal> {
    text.parse().map_err(|()| {
        Refusal::new(format!("`{}` is neither an IP address nor a network like 10.0.0.0/8", shown(text)))
    })
}

/// `*`, or scheme, host and port as browsers send them (RFC 6454 §6.2).
pub(crate) fn origin(text: &str) -> Result<Origin, Refusal> {
    if text == "*" {
        return Ok(Origin::Any);
    }
    let refusal = || Refusal::new(format!("`{}` is not an origin", shown(text)));
    let url = Url::parse(text).map_err(|_| refusal())?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return Err(refusal());
    }
    // Browsers send whole names: one with a star would never be theirs.
    if url.host_str().is_some_and(|host| host.contains('*')) {
        let why = "stands for several sites, and only \"*\" alone stands for all: write each of them";
        return Err(Refusal::new(format!("`{}` {why}", shown(text))));
    }
    let origin = url.origin().ascii_serialization();
    if url.as_str().len() > origin.len() + 1 || text.ends_with('/') {
        return Err(refusal().meant(origin));
    }
    Ok(Origin::Only(origin))
}

/// Where pages are served: a URL to put a stream's path behind; none where it is empty.
pub(crate) fn site(text: &str) -> Result<Option<String>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let refusal = || Refusal::new(format!("`{}` is not the URL of a server's pages", shown(text)));
    let url = Url::parse(text).map_err(|_| match Url::parse(&format!("https://{text}")) {
        Ok(url) if !text.contains("//") => refusal().meant(url.as_str().trim_end_matches('/')),
        _ => refusal(),
    })?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_plain { Ok(Some(url.as_str().trim_end_matches('/').to_owned())) } else { Err(refusal()) }
}

/// An address browsers can send to, or a host name (RFC 1123 §2.1).
pub(crate) fn ice_address(text: &str) -> Result<IceAddress, Refusal> {
    if text == "interfaces" {
        return Ok(IceAddress::Interfaces);
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return match ip.is_unspecified() || ip.is_multicast() {
            true => Err(Refusal::new(format!("nobody can send to `{ip}`"))),
            false => Ok(IceAddress::Ip(ip)),
        };
    }
    let refusal = Refusal::new(format!("`{}` is neither an IP address nor a host name", shown(text)));
    if let Some((host, port)) = text.rsplit_once(':') {
        let host = host.trim_matches(['[', ']']);
        return Err(if port.parse::<u16>().is_ok() && ice_address(host).is_ok() {
            refusal.meant(host)
        } else {
            refusal
        });
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if text.len() > 253 || numeric || !text.split('.').all(label) {
        return Err(refusal);
    }
    Ok(IceAddress::Host(text.to_owned()))
}

/// The name of a network interface as the kernel allows it: at most 15 bytes, no `/`, no white space.
pub(crate) fn interface(text: &str) -> Result<String, Refusal> {
    let allowed = (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    match allowed {
        true => Ok(text.to_owned()),
        false => Err(Refusal::new(format!("`{}` cannot be the name of an interface", shown(text)))),
    }
}

/// A level, or `target=level` directives. Stricter than `EnvFilter`, to which a mistyped level is a target.
pub(crate) fn log_filter(text: &str) -> Result<String, Refusal> {
    let level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
    for directive in text.split(',').map(str::trim) {
        if directive.is_empty() {
            let is_all = text.trim().is_empty();
            return Err(Refusal::new(if is_all { "it is empty" } else { "there is nothing beside a comma" }));
        }
        let (target, word) = directive.rsplit_once('=').unwrap_or(("", directive));
        let named = target.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-'));
        if !named || (target.is_empty() && directive.contains('=')) {
            return Err(Refusal::new(format!("`{}` names no target", shown(directive))));
        }
        if !level(word) {
            let refusal = Refusal::new(format!("`{}` is not a level", shown(word)));
            return Err(match nearest(word, LEVELS) {
                Some(near) if directive == text && target.is_empty() => refusal.meant(near),
                Some(near) if directive == text => refusal.meant(format!("{target}={near}")),
                _ => refusal,
            });
        }
    }
    Ok(text.to_owned())
}

/// Whether `text` can be `log.level`.
///
/// # Errors
///
/// Why not, and what is probably meant.
pub fn check_log_level(text: &str) -> Result<(), String> {
    let said = |refusal: Refusal| match refusal.meant {
        Some(meant) => format!("{}; `{meant}` may be meant", refusal.why),
        None => refusal.why,
    };
    log_filter(text).map(drop).map_err(said)
}

/// `demo` or the URL of a camera. No refusal repeats the text: it may hold a password.
pub(crate) fn source(text: &str) -> Result<Source, Refusal> {
    if text == "demo" {
        return Ok(Source::Demo);
    }
    if text == "whip" {
        return Err(Refusal::new("a stream cannot be published by WHIP yet"));
    }
    if !text.contains(':') && nearest(text, ["demo"]).is_some() {
        return Err(Refusal::new("there is no such source").meant("demo"));
    }
    text.parse::<RtspUrl>().map(|camera| Source::Rtsp(camera.into())).map_err(Refusal::new)
}

/// The URL of a camera, where only one can stand.
pub(crate) fn camera(text: &str) -> Result<RtspUrl, Refusal> {
    if text == "demo" {
        return Err(Refusal::new(
            "the demo never fails and has one encoding: it stands alone, as in source = \"demo\"",
        ));
    }
    text.parse().map_err(Refusal::new)
}

/// The fingerprint of a certificate.
pub(crate) fn fingerprint(text: &str) -> Result<Fingerprint, Refusal> {
    text.parse().map_err(Refusal::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>, why: &str, meant: Option<&str>) {
        let refusal = result.expect_err(why);
        assert_eq!((refusal.why.as_str(), refusal.meant.as_deref()), (why, meant));
    }

    #[test]
    fn listen_addresses() {
        for (text, address) in
            [(":8889", "[::]:8889"), ("[::1]:1", "[::1]:1"), ("10.0.0.1:80", "10.0.0.1:80"), (":0", "[::]:0")]
        {
            assert_eq!(listen(text).map(|address| address.to_string()), Ok(address.to_owned()));
        }
        refused(listen("8889"), "`8889` is not an IP address and a port", Some(":8889"));
        refused(
            listen("localhost:80"),
            "`localhost:80` is not an IP address and a port",
            Some("127.0.0.1:80"),
        );
        refused(listen("*:80"), "`*:80` is not an IP address and a port", Some(":80"));
        refused(listen(":70000"), "`:70000` is not an IP address and a port", None);
        refused(listen("::"), "`::` is not an IP address and a port", None);
    }

    #[test]
    fn ip_addresses() {
        assert_eq!(ip("::"), Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        refused(ip("10.0.0.1:8189"), "`10.0.0.1:8189` is not an IP address", Some("10.0.0.1"));
        refused(ip("*"), "`*` is not an IP address", Some("::"));
        refused(ip("eth0"), "`eth0` is not an IP address", None);
    }

    #[test]
    fn origins_as_browsers_send_them() {
        assert_eq!(origin("*"), Ok(Origin::Any));
        assert_eq!(
            origin("https://TV.example.com:443"),
            Ok(Origin::Only("https://tv.example.com".to_owned()))
        );
        assert_eq!(origin("http://localhost:3000"), Ok(Origin::Only("http://localhost:3000".to_owned())));
        refused(origin("https://a.b/"), "`https://a.b/` is not an origin", Some("https://a.b"));
        refused(origin("https://a.b/x?y"), "`https://a.b/x?*` is not an origin", Some("https://a.b"));
        refused(origin("https://u:canary@a.b"), "`https://u:******@a.b` is not an origin", None);
        refused(origin("a.b"), "`a.b` is not an origin", None);
        let several = "`https://*.a.b` stands for several sites, and only \"*\" alone stands for all: write each of them";
        refused(origin("https://*.a.b"), several, None);
        refused(origin("ftp://a.b"), "`ftp://a.b` is not an origin", None);
    }

    #[test]
    fn ice_addresses() {
        assert_eq!(ice_address("192.0.2.1"), Ok(IceAddress::Ip(IpAddr::from([192, 0, 2, 1]))));
        assert_eq!(ice_address("interfaces"), Ok(IceAddress::Interfaces));
        assert_eq!(ice_address("sfu-1.example.com"), Ok(IceAddress::Host("sfu-1.example.com".to_owned())));
        refused(ice_address("0.0.0.0"), "nobody can send to `0.0.0.0`", None);
        refused(ice_address("a.b:8189"), "`a.b:8189` is neither an IP address nor a host name", Some("a.b"));
        refused(
            ice_address("[::1]:8189"),
            "`[::1]:8189` is neither an IP address nor a host name",
            Some("::1"),
        );
        for text in ["", "a..b", "-a", "10.0.0.300", "a b", "a/b", &"x".repeat(64), &"a.".repeat(127)] {
            assert!(ice_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn interfaces() {
        assert_eq!(interface("eth0.100"), Ok("eth0.100".to_owned()));
        for text in ["", "a/b", "a b", "sixteen-letters-"] {
            assert!(interface(text).is_err(), "{text}");
        }
    }

    #[test]
    fn log_filters() {
        for text in ["info", "OFF", "sluice=debug", "warn,sluice::shard=trace, retina=info"] {
            assert_eq!(log_filter(text), Ok(text.to_owned()));
        }
        refused(log_filter("debg"), "`debg` is not a level", Some("debug"));
        refused(log_filter("sluice=inof"), "`inof` is not a level", Some("sluice=info"));
        refused(log_filter("warn,sluice"), "`sluice` is not a level", None);
        refused(log_filter("=info"), "`=info` names no target", None);
        refused(log_filter(""), "it is empty", None);
        for text in ["info,", ",info", "info, ,sluice=debug"] {
            refused(log_filter(text), "there is nothing beside a comma", None);
        }
        assert_eq!(
            check_log_level("sluice=inof"),
            Err("`inof` is not a level; `sluice=info` may be meant".into())
        );
    }

    #[test]
    fn sources() {
        assert_eq!(source("demo"), Ok(Source::Demo));
        assert!(matches!(source("rtsp://h/x"), Ok(Source::Rtsp(_))));
        refused(source("Demo"), "there is no such source", Some("demo"));
        refused(source("whip"), "a stream cannot be published by WHIP yet", None);
        refused(source("canary"), "the URL does not begin with `rtsp://`", None);
    }
}
