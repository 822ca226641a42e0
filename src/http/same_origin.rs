//! Which pages may ask the admin listener: its own, and programs that are no browser.
//!
//! A page of another site cannot read an answer, because none allows it (no CORS), but it can have a browser ask, and
//! so end a viewer or keep the places of those who follow. Browsers say whose page asks: `Sec-Fetch-Site` (Fetch
//! Metadata), or the older `Origin` (RFC 6454 §7). Scripts and curl say neither.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::problem::{Problem, closing};

/// Lets a request through unless a page of another site has it made.
pub async fn check(request: Request, next: Next) -> Response {
    if is_foreign(request.headers()) {
        let why =
            "a page of another site asks: open the page of this listener itself, or ask without a browser";
        return closing(Problem::new(StatusCode::FORBIDDEN, why));
    }
    next.run(request).await
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = said("sec-fetch-site") {
        // "none": a person typed the address.
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = said(header::ORIGIN.as_str()) else { return false };
    let own = origin.split_once("://").map_or("", |(_, host)| host);
    own.is_empty() || said(header::HOST.as_str()) != Some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_are_told_from_our_own_and_from_programs() {
        let host = ("host", "127.0.0.1:9997");
        for (headers, foreign) in [
            (&[host][..], false),
            (&[host, ("sec-fetch-site", "same-origin")], false),
            (&[host, ("sec-fetch-site", "none")], false),
            (&[host, ("sec-fetch-site", "same-site")], true),
            (&[host, ("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:9997")], true),
            (&[host, ("sec-fetch-site", "\u{e9}")], true),
            (&[host, ("origin", "http://127.0.0.1:9997")], false),
            (&[host, ("origin", "https://127.0.0.1:9997")], false),
            (&[host, ("origin", "http://127.0.0.1:9998")], true),
            (&[host, ("origin", "http://evil.example")], true),
            (&[host, ("origin", "null")], true),
            (&[("origin", "http://")], true),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, axum::http::HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
            }
            assert_eq!(is_foreign(&map), foreign, "{headers:?}");
        }
    }
}
