//! Where requests go: the URLs of a session and of its tracks (RFC 2326 §C.1.1).
//!
//! Owns the rules, and that every URL has the host we are connected to: a camera behind NAT, or one that means harm,
//! names others. URLs are text here: joined as the camera's own readers join them, which is not as RFC 3986 says.

use sluice_config::Line;
use url::Url;

/// Characters of a URL that is sent, at most.
const MAX_URL: usize = 2048;

/// The URLs of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    /// What was asked with DESCRIBE.
    request: String,
    /// What relative URLs are relative to.
    base: String,
}

impl Base {
    /// From the URL of DESCRIBE, and the answer's `Content-Base` or `Content-Location`.
    pub(super) fn new(request: &Url, named: Option<&str>) -> Base {
        let scheme = scheme(request.scheme());
        let authority = authority(request.as_str());
        let request = with_authority(request.as_str(), scheme, authority);
        let base = match named.map(str::trim).filter(|named| !named.is_empty()) {
            None => request.clone(),
            Some(named) if is_absolute(named) => with_authority(named, scheme, authority),
            Some(path) if path.starts_with('/') => clean(&format!("{scheme}://{authority}{path}")),
            Some(_) => request.clone(),
        };
        Base { request, base }
    }

    /// Where PLAY, keepalives and TEARDOWN go: what `control` of the session says, then other ways of reading it.
    pub(super) fn session(&self, control: Option<&str>) -> Vec<String> {
        let mut urls = self.candidates(control);
        urls.push(self.request.clone());
        dedup(urls)
    }

    /// Where SETUP goes for a section whose `a=control` is `control`. The first is how live555 and FFmpeg join it;
    /// the others are tried if the camera does not know that one, at last what the `session`'s own control makes
    /// of it.
    pub(super) fn track(&self, control: Option<&str>, session: Option<&str>) -> Vec<String> {
        let mut urls = self.candidates(control);
        let control = control.map(str::trim).filter(|control| !matches!(*control, "" | "*"));
        if session.is_some_and(|session| !matches!(session.trim(), "" | "*")) {
            for session in self.candidates(session) {
                match control {
                    None => urls.push(session),
                    Some(control) if is_absolute(control) => {}
                    Some(control) => urls.push(join(&session, control)),
                }
            }
        }
        dedup(urls)
    }

    fn candidates(&self, control: Option<&str>) -> Vec<String> {
        let base = &self.base;
        let authority = authority(base);
        let scheme = base.split_once("://").map_or("rtsp", |(scheme, _)| scheme);
        match control.map(str::trim).filter(|control| !matches!(*control, "" | "*")) {
            None => vec![base.clone()],
            Some(control) if is_absolute(control) => vec![with_authority(control, scheme, authority)],
            Some(control) => {
                let joined = |base: &str| join(base, control);
                let mut urls = vec![joined(base)];
                if let Some((path, query)) = base.split_once('?') {
                    urls.push(clean(&format!("{}?{query}", joined(path))));
                }
                if self.request != *base {
                    urls.push(joined(&self.request));
                }
                if control.starts_with('/') {
                    urls.push(clean(&format!("{scheme}://{authority}{control}")));
                }
                urls
            }
        }
    }
}

/// A relative `control` behind `base`.
fn join(base: &str, control: &str) -> String {
    let slash = if base.ends_with('/') || control.starts_with('/') { "" } else { "/" };
    let base = if control.starts_with('/') { base.trim_end_matches('/') } else { base };
    clean(&format!("{base}{slash}{control}"))
}

fn dedup(urls: Vec<String>) -> Vec<String> {
    let mut unique: Vec<String> = Vec::with_capacity(urls.len());
    for url in urls {
        if !unique.contains(&url) {
            unique.push(url);
        }
    }
    unique
}

fn is_absolute(url: &str) -> bool {
    let scheme = url.get(..7).unwrap_or_default().to_ascii_lowercase();
    scheme == "rtsp://" || scheme == "rtspu:/" || scheme == "rtsps:/"
}

/// `host:port` of `scheme://host:port/...`, without credentials.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// The scheme of requests on a line: inside of HTTP they are those of any other.
fn scheme(line: &str) -> &'static str {
    if Line::of(line) == Some(Line::Tls) { "rtsps" } else { "rtsp" }
}

/// `url` at another host and port.
fn with_authority(url: &str, scheme: &str, authority: &str) -> String {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    clean(&format!("{scheme}://{authority}{}", &rest[rest.find(['/', '?']).unwrap_or(rest.len())..]))
}

/// What may stand in a request line: no blanks, no controls, nothing but ASCII.
fn clean(url: &str) -> String {
    let mut clean = String::with_capacity(url.len());
    for byte in url.bytes().take(MAX_URL) {
        if byte.is_ascii_graphic() {
            clean.push(char::from(byte));
        } else {
            clean.push_str(&format!("%{byte:02X}"));
        }
    }
    clean
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
