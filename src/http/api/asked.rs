//! What a query of `/api/v1` may say, and how an answer looks.
//!
//! Owns that a name that means nothing is refused with those that do, and the bounds of numbers.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::http::extract::Pairs;
use crate::http::problem::Problem;
use crate::id::ShortId;
use crate::session::offer::shown;

/// A query, not looked at yet.
pub(super) type Given = Pairs;

/// What a query says.
pub(super) struct Asked(BTreeMap<String, String>);

impl Asked {
    /// A query that may say `known` and nothing else.
    pub(super) fn of(Pairs(asked): Given, known: &[&str]) -> Result<Asked, Problem> {
        match asked.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(Asked(asked)),
            Some(name) => {
                let meant = sluice_config::nearest(name, known.iter().copied());
                let meant = meant.map(|meant| format!(": did you mean {meant}?")).unwrap_or_default();
                let known = known.join(", ");
                Err(bad(format!("{:?} is not known in a query here (known: {known}){meant}", shown(name))))
            }
        }
    }

    /// The text of that name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The id of a session.
    pub(super) fn session(&self) -> Result<Option<ShortId>, Problem> {
        self.text("session").map(id).transpose()
    }

    /// A number from 0 to `max`.
    pub(super) fn number(&self, name: &str, otherwise: usize, max: usize) -> Result<usize, Problem> {
        let Some(text) = self.text(name) else { return Ok(otherwise) };
        let number = text.parse().ok().filter(|number| *number <= max);
        number.ok_or_else(|| bad(format!("{name}={} is not a number from 0 to {max}", shown(text))))
    }
}

/// The short id of a session.
pub(super) fn id(text: &str) -> Result<ShortId, Problem> {
    text.parse().map_err(|()| {
        let why = "it has eight hexadecimal digits, as in 1f2e3d4c";
        bad(format!("{:?} is no id of a session: {why}", shown(text)))
    })
}

/// 400, and why.
pub(super) fn bad(why: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, why)
}

/// An answer that nobody may keep.
pub(super) fn fresh(body: impl Serialize) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Json(body)).into_response()
}
