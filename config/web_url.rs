//! The address of another server that is asked something: `http://` or `https://`. User name, password and query do not
//! print.

use std::{fmt, str::FromStr};

use url::Url;

/// An `http://` or `https://` URL with a host.
#[derive(Clone, PartialEq, Eq)]
pub struct WebUrl(Url);

impl WebUrl {
    /// The URL itself, for the one place that must ask for it.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebUrl({self})")
    }
}

impl FromStr for WebUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let url =
            Url::parse(text).map_err(|_| "this is no URL: it begins with http:// or https:// and a host")?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Self(url)),
            "http" | "https" => Err("the URL has no host"),
            _ => Err("the URL does not begin with http:// or https://"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_does_not_print() {
        let url: WebUrl = "https://ann:hunter2@auth.lan:9/check?key=hunter2".parse().expect("a URL");
        assert_eq!(format!("{url} {url:?}"), "https://auth.lan:9/check WebUrl(https://auth.lan:9/check)");
        for wrong in ["", "auth.lan/check", "ftp://auth.lan/", "http://"] {
            assert!(wrong.parse::<WebUrl>().is_err(), "{wrong}");
        }
    }
}
