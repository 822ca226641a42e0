//! The URL of a camera, taken apart so that its password lies in a type that cannot print it. It accepts what can be
//! pulled, RTSP over TCP, TLS or HTTP, and never guesses at a URL that is ambiguous about where the password ends.

use std::{borrow::Cow, fmt, net::Ipv4Addr, str::FromStr};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use crate::redact::secret_parameters;

/// What RTSP goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A TCP connection: `rtsp://`.
    Plain,
    /// TLS: `rtsps://`.
    Tls,
    /// Two HTTP connections (QuickTime's tunnel): `rtsp+http://`.
    Http,
    /// The same over TLS: `rtsp+https://`.
    Https,
}

impl Line {
    /// All of them.
    pub const ALL: [Line; 4] = [Line::Plain, Line::Tls, Line::Http, Line::Https];

    /// The scheme of its URLs.
    pub fn scheme(self) -> &'static str {
        match self {
            Line::Plain => "rtsp",
            Line::Tls => "rtsps",
            Line::Http => "rtsp+http",
            Line::Https => "rtsp+https",
        }
    }

    /// The line that URLs with this scheme go over.
    pub fn of(scheme: &str) -> Option<Line> {
        Line::ALL.into_iter().find(|line| line.scheme() == scheme)
    }

    /// Where nothing else is said.
    pub fn default_port(self) -> u16 {
        match self {
            Line::Plain => 554,
            Line::Tls => 322,
            Line::Http => 80,
            Line::Https => 443,
        }
    }

    /// Whether nobody on the way reads along.
    pub fn is_secret(self) -> bool {
        matches!(self, Line::Tls | Line::Https)
    }

    /// Whether requests go in HTTP.
    pub fn is_tunnel(self) -> bool {
        matches!(self, Line::Http | Line::Https)
    }
}

/// An `rtsp://` URL (RFC 2326 §3.2), or one of its kin ([`Line`]), that has a host. `Display` and `Debug` show no password.
#[derive(Clone, PartialEq, Eq)]
pub struct RtspUrl {
    /// Scheme, host, port and path: without user name and password. The path may still hold a secret of the camera's own
    /// making (`?password=`): print the [`RtspUrl`], not this.
    pub url: Url,
    /// If the camera wants them.
    pub credentials: Option<Credentials>,
    /// User name and password as they were written, percent-encoded: where a pattern makes streams of it, `$1` is the part of a
    /// name there and `%241` is none.
    pub(crate) userinfo: Secret,
}

/// User and password of a camera, percent-decoded. Prints neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user; may be empty.
    pub username: String,
    /// The password; may be empty.
    pub password: Secret,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

/// A string that prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one place that must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self(secret.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a URL was refused. No message repeats a part of the URL that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtspUrlError {
    /// No `scheme://` in front.
    #[error("the URL does not begin with `rtsp://`")]
    NoScheme,
    /// Another protocol.
    #[error(
        "cameras are pulled by `rtsp://`, `rtsps://`, `rtsp+http://` and `rtsp+https://`, not by `{0}://`"
    )]
    Scheme(String),
    /// Nothing between `//` and the path.
    #[error("the URL has no host")]
    NoHost,
    /// The host is neither a name nor an address.
    #[error("the URL's host is neither a name nor an address")]
    Host,
    /// The port is not 1..=65535, or the password has a character that ends the host.
    #[error("the URL's port is not a number from 1 to 65535; {ENCODE}")]
    Port,
    /// `@` in the path, behind what reads as `host:port`.
    #[error("the URL has an `@` behind its path began; {ENCODE}")]
    MisplacedAt,
    /// `%ff` and the like in user name or password.
    #[error("the URL's user name or password does not decode to UTF-8")]
    Encoding,
}

const ENCODE: &str = "in a password write `/` as %2F, `?` as %3F, `#` as %23, `@` as %40 and `%` as %25";

impl FromStr for RtspUrl {
    type Err = RtspUrlError;

    fn from_str(text: &str) -> Result<Self, RtspUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(RtspUrlError::NoScheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            known if Line::of(known).is_some() => {}
            // Only a scheme's letters are repeated; `user:password://` is not one.
            other
                if !other.is_empty()
                    && other.len() <= 12
                    && other.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') =>
            {
                return Err(RtspUrlError::Scheme(other.to_owned()));
            }
            _ => return Err(RtspUrlError::NoScheme),
        }
        let mut url = Url::parse(text).map_err(|error| match error {
            url::ParseError::EmptyHost => RtspUrlError::NoHost,
            url::ParseError::InvalidPort => RtspUrlError::Port,
            _ => RtspUrlError::Host,
        })?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(RtspUrlError::NoHost)?;
        if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') && host.parse::<Ipv4Addr>().is_err() {
            return Err(RtspUrlError::Host);
        }
        if url.port() == Some(0) {
            return Err(RtspUrlError::Port);
        }
        // `rtsp://admin:12/34@host/x` reads as host `admin`, port 12: more likely it is a password with a slash.
        let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        if url.port().is_some() && !rest[..authority].contains('@') && rest[authority..].contains('@') {
            return Err(RtspUrlError::MisplacedAt);
        }

        let userinfo = Secret([url.username(), url.password().unwrap_or_default()].join(":"));
        let credentials = Credentials::read(&userinfo)?;
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| RtspUrlError::NoHost)?;
        Ok(Self { url, credentials, userinfo })
    }
}

impl Credentials {
    /// Those of `user:password`, percent-encoded; none where both are empty.
    pub(crate) fn read(userinfo: &Secret) -> Result<Option<Self>, RtspUrlError> {
        let (username, password) = userinfo.0.split_once(':').unwrap_or((&userinfo.0, ""));
        let (username, password) = (decode(username)?, Secret(decode(password)?));
        Ok((!username.is_empty() || !password.is_empty()).then_some(Self { username, password }))
    }
}

fn decode(text: &str) -> Result<String, RtspUrlError> {
    percent_decode_str(text).decode_utf8().map(Cow::into_owned).map_err(|_| RtspUrlError::Encoding)
}

impl RtspUrl {
    /// The URL as it is written into a file, with `placeholder` for each secret. In a path a secret has no end that
    /// can be told, so there the placeholder stands for all the rest.
    pub fn template(&self, placeholder: &str) -> String {
        let mut encoded = self.url.clone();
        // A URL that was read has a host, and takes a name.
        let _ = encoded.set_username(self.username());
        self.without_secrets(encoded.username(), placeholder)
    }

    /// The whole URL with its password, for the one place that must hand it on.
    pub fn expose(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut url = self.url.clone();
        if let Some(Credentials { username, password }) = &self.credentials {
            // A URL that was read has a host, and takes both.
            let _ = url.set_username(&encoded(username));
            let _ = url.set_password(
                Some(&encoded(password.expose())).filter(|text| !text.is_empty()).map(String::as_str),
            );
        }
        url.into()
    }

    /// Another place, with the same credentials.
    pub fn at(&self, url: Url) -> Self {
        Self { url, ..self.clone() }
    }

    /// What it goes over.
    pub fn line(&self) -> Line {
        Line::of(self.url.scheme()).unwrap_or(Line::Plain)
    }

    /// Host and port, the only part that anybody may see: passwords also hide in paths and queries.
    pub fn address(&self) -> String {
        let port = self.url.port().unwrap_or(self.line().default_port());
        format!("{}:{port}", self.url.host_str().unwrap_or_default())
    }

    fn username(&self) -> &str {
        self.credentials.as_ref().map_or("", |credentials| &credentials.username)
    }

    fn without_secrets(&self, username: &str, placeholder: &str) -> String {
        let mut text = format!("{}://", self.url.scheme());
        let mut at = text.len();
        match &self.credentials {
            None => {}
            Some(credentials) if credentials.password.is_empty() => text.extend([username, "@"]),
            Some(_) => text.extend([username, ":", placeholder, "@"]),
        }
        let url = self.url.as_str();
        for secret in secret_parameters(url) {
            text.extend([&url[at..secret.start], placeholder]);
            at = secret.end;
        }
        text + &url[at..]
    }
}

impl fmt::Display for RtspUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_secrets(self.username(), "***"))
    }
}

impl fmt::Debug for RtspUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RtspUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> RtspUrl {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_url_that_is_exposed_is_read_as_the_same() {
        for text in [
            "rtsp://a/x",
            "rtsp://user@a:8554/x?y=z",
            "rtsp://:canary@a/x",
            "rtsp://us%40er:p%2F%25%3A%E2%82%ACw%2541@[fd00::1]:554/x%20y",
        ] {
            let url: RtspUrl = text.parse().expect(text);
            assert_eq!(url.expose().parse::<RtspUrl>().as_ref(), Ok(&url), "{text}");
        }
    }

    #[test]
    fn takes_credentials_out() {
        for (text, url, credentials) in [
            ("rtsp://host/x", "rtsp://host/x", None),
            ("RTSP://host", "rtsp://host", None),
            ("RTSPS://u:p@host/x", "rtsps://host/x", Some(("u", "p"))),
            ("rtsp+http://u:p@host/x", "rtsp+http://host/x", Some(("u", "p"))),
            ("rtsp+https://[fd00::1]:8443/x", "rtsp+https://[fd00::1]:8443/x", None),
            ("rtsp://u@host:8554/x?y=z", "rtsp://host:8554/x?y=z", Some(("u", ""))),
            ("rtsp://u:p@10.0.0.5:554/x", "rtsp://10.0.0.5:554/x", Some(("u", "p"))),
            ("rtsp://u:p@[fe80::1]/x", "rtsp://[fe80::1]/x", Some(("u", "p"))),
            ("rtsp://u%40site:p%2F%25%3A@host/x", "rtsp://host/x", Some(("u@site", "p/%:"))),
            ("rtsp://u:p@ss@host/x", "rtsp://host/x", Some(("u", "p@ss"))),
            ("rtsp://u:50%off@host/x", "rtsp://host/x", Some(("u", "50%off"))),
            ("rtsp://:p@host/x", "rtsp://host/x", Some(("", "p"))),
            ("rtsp://u:p@host/a@b", "rtsp://host/a@b", Some(("u", "p"))),
        ] {
            let parsed = parse(text);
            assert_eq!(parsed.url.as_str(), url, "{text}");
            let found = parsed.credentials.as_ref();
            let found = found.map(|found| (found.username.as_str(), found.password.expose()));
            assert_eq!(found, credentials, "{text}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_pulled() {
        for (text, error) in [
            ("", RtspUrlError::NoScheme),
            ("host/x", RtspUrlError::NoScheme),
            ("u:p://host", RtspUrlError::NoScheme),
            ("RTMP://host/x", RtspUrlError::Scheme("rtmp".to_owned())),
            ("rtsps+http://host/x", RtspUrlError::Scheme("rtsps+http".to_owned())),
            ("rtsp://", RtspUrlError::NoHost),
            ("rtsp:///x", RtspUrlError::NoHost),
            ("rtsp://u:p@/x", RtspUrlError::NoHost),
            ("rtsp://10.0.0.300/x", RtspUrlError::Host),
            ("rtsp://a b/x", RtspUrlError::Host),
            ("rtsp://[::g]/x", RtspUrlError::Host),
            ("rtsp://host:0/x", RtspUrlError::Port),
            ("rtsp://host:70000/x", RtspUrlError::Port),
            ("rtsp://u:pa/ss@host/x", RtspUrlError::Port),
            ("rtsp://u:pa#ss@host/x", RtspUrlError::Port),
            ("rtsp://u:12/34@host/x", RtspUrlError::MisplacedAt),
            ("rtsp://u:%ff@host/x", RtspUrlError::Encoding),
        ] {
            assert_eq!(text.parse::<RtspUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_is_not_shown() {
        for text in ["srt://127.0.0.1/canary", "http://127.0.0.1/canary", "http://admin:canary@127.0.0.1/"] {
            let error = text.parse::<RtspUrl>().expect_err(text).to_string();
            assert!(error.contains("`rtsp://`") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn prints_no_secret() {
        for (text, printed) in [
            ("rtsp://u:canary@host/x", "rtsp://u:***@host/x"),
            ("rtsp://:canary@host/x", "rtsp://:***@host/x"),
            ("rtsp://u@host/x", "rtsp://u@host/x"),
            ("rtsps://u:canary@host/x", "rtsps://u:***@host/x"),
            ("rtsp+http://u:canary@host:81/?pwd=canary", "rtsp+http://u:***@host:81/?pwd=***"),
            ("rtsp://host/?Password=canary&ch=1", "rtsp://host/?Password=***&ch=1"),
            ("rtsp://host/user=a_password=canary_ch=1.sdp", "rtsp://host/user=a_password=***"),
        ] {
            assert_eq!(parse(text).to_string(), printed);
            assert_eq!(format!("{:?}", parse(text)), format!("RtspUrl({printed})"));
        }
    }

    #[test]
    fn a_template_can_be_read_again_and_has_the_placeholder_for_each_secret() {
        for (text, template) in [
            ("rtsp://u:canary@host/x", "rtsp://u:PASSWORD@host/x"),
            ("rtsp://u%40site:canary@host/x", "rtsp://u%40site:PASSWORD@host/x"),
            ("rtsp://pass:canary@host/x", "rtsp://pass:PASSWORD@host/x"),
            ("rtsp://u@host:8554/x", "rtsp://u@host:8554/x"),
            ("rtsp://host/x", "rtsp://host/x"),
            ("rtsp://host/?password=canary&ch=1", "rtsp://host/?password=PASSWORD&ch=1"),
        ] {
            assert_eq!(parse(text).template("PASSWORD"), template);
            let (read, again) = (parse(text), parse(template));
            assert_eq!((read.username(), read.url.host_str()), (again.username(), again.url.host_str()));
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_errors_never_repeat_the_password(password in "[^@]{0,16}") {
            let text = format!("rtsp://admin:7c{password}4f@host/x");
            let printed = text.parse::<RtspUrl>().map_or_else(|error| error.to_string(), |url| format!("{url:?}"));
            prop_assert!(!printed.contains("7c"), "{}", printed);
        }
    }
}
