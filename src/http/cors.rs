//! Which pages of other sites may use what is answered here (CORS, Fetch Standard §3.2).
//!
//! Owns the headers. An origin is repeated only if it is listed, and nothing is ever allowed with credentials that a
//! browser adds by itself: a page of another site has to send its own.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use sluice_config::Origin;

/// Origins that are allowed (`http.allow_origin`).
#[derive(Debug, Clone)]
pub struct Origins {
    any: bool,
    listed: Arc<[HeaderValue]>,
}

impl Origins {
    /// Those of the configuration.
    ///
    /// # Errors
    ///
    /// One that cannot be a header.
    pub fn new(origins: &[Origin]) -> Result<Origins, String> {
        let listed = origins.iter().filter(|origin| **origin != Origin::Any).map(Origin::as_str);
        let listed = listed.map(|origin| HeaderValue::from_str(origin).map_err(|_| origin.to_owned()));
        Ok(Origins { any: origins.contains(&Origin::Any), listed: listed.collect::<Result<_, _>>()? })
    }

    /// Puts on an answer of WHEP what a page at `asked` may do with it, and with its session.
    pub fn allow_session(&self, headers: &mut HeaderMap, asked: Option<&HeaderValue>) {
        headers.insert(HeaderName::from_static("accept-post"), HeaderValue::from_static("application/sdp"));
        self.allow(headers, asked, &[
            (header::ACCESS_CONTROL_ALLOW_METHODS, "OPTIONS, HEAD, GET, POST, PATCH, DELETE"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, If-Match, ETag, Prefer"),
            (
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                "Location, Link, ETag, Layer, Accept-Post, Accept-Patch, Retry-After, Access-Control-Allow-Methods",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        ]);
    }

    /// Puts on an answer that a page at `asked` may read it, and when to ask again.
    pub fn allow_reading(&self, headers: &mut HeaderMap, asked: Option<&HeaderValue>) {
        self.allow(headers, asked, &[(header::ACCESS_CONTROL_EXPOSE_HEADERS, "ETag, Retry-After")]);
    }

    /// Allows the answer to a page at `asked`, with `more`, if it is listed.
    fn allow(
        &self,
        headers: &mut HeaderMap,
        asked: Option<&HeaderValue>,
        more: &[(HeaderName, &'static str)],
    ) {
        // A cache must not give one site's answer to another.
        if !self.any && !self.listed.is_empty() {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        let allowed = match asked.filter(|asked| self.listed.contains(*asked)) {
            _ if self.any => HeaderValue::from_static("*"),
            Some(listed) => listed.clone(),
            None => return,
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        for (name, value) in more {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}
