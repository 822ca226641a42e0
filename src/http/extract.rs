//! What handlers are given of a request's URL. What cannot be read is refused in the form of all refusals; the library's own
//! are plain text.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use sluice_media::shown;
use url::form_urlencoded;

use super::problem::Problem;

/// What the one variable part of a route's path names, decoded.
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named, Problem> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        read.map(|Path(name)| Named(name)).map_err(|_| {
            let why = "what the path names is no UTF-8; a byte beyond ASCII is written as in %C3%A9";
            Problem::new(StatusCode::BAD_REQUEST, why)
        })
    }
}

/// What the query says, each name once: of two that contradict each other none can be meant.
pub(super) struct Pairs(pub(super) BTreeMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Pairs {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Pairs, Problem> {
        let mut pairs = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            if pairs.insert(name.to_string(), value.into_owned()).is_some() {
                let why = format!("{:?} stands in the query more than once", shown(&name));
                return Err(Problem::new(StatusCode::BAD_REQUEST, why));
            }
        }
        Ok(Pairs(pairs))
    }
}

/// A query that says nothing, of a handler that knows none.
pub(super) struct Bare;

impl<S: Sync> FromRequestParts<S> for Bare {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Bare, Problem> {
        let Pairs(pairs) = Pairs::from_request_parts(parts, state).await?;
        pairs.into_keys().next().map_or(Ok(Bare), |name| {
            let why =
                format!("{:?} is not known in a query here: there is nothing to say in it", shown(&name));
            Err(Problem::new(StatusCode::BAD_REQUEST, why))
        })
    }
}

/// What the query says, as `T` has it.
pub(super) struct Queried<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Queried<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Queried<T>, Problem> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(asked)| Queried(asked)).map_err(|error| {
            let why = format!("the query cannot be read, give each key once: {}", error.body_text());
            Problem::new(StatusCode::BAD_REQUEST, why)
        })
    }
}
