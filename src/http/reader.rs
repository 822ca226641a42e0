//! `/{stream}/reader.js`: the script that pages written for MediaMTX load, with the class that they know.
//!
//! Owns how it is put together: the player of our own pages, which is a module, and the class over it, in one script that
//! leaves a single name behind.

use std::sync::LazyLock;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::pages::{self, SCRIPT};

static READER: LazyLock<String> = LazyLock::new(|| {
    let player = include_str!("pages/whep.js").replace("export class", "class");
    let class = include_str!("pages/reader.js");
    format!("(() => {{\n\"use strict\";\n{player}\n{class}}})();\n")
});

/// The answer to a GET or HEAD with `headers`. It is the same for every stream, there or not.
pub(super) fn answer(headers: &HeaderMap) -> Response {
    pages::page(headers, StatusCode::OK, SCRIPT, READER.as_str())
}
