//! The configuration in effect, and its being read again.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Api;
use super::asked::fresh;
use crate::http::extract::Bare;
use crate::http::problem::{Body, Problem};
use crate::operator::change::{Applied, Refused, Wanted, Why};
use crate::operator::settings::Told;

/// The configuration in effect: each key with its value and who gave it. No secret is in it.
#[utoipa::path(
    get,
    path = "/api/v1/config",
    tag = "config",
    responses(
        (status = 200, description = "Every key", body = Told),
    ),
)]
pub(super) async fn told(State(api): State<Api>, _: Bare) -> Response {
    fresh(api.operator.settings.told(api.operator.reloads.succeeded_ms()))
}

/// Reads the configuration again, as SIGHUP does. A stream that a pattern made is its pattern's: where another one takes over its
/// name it ends, with its viewers, and is made anew for who asks again.
#[utoipa::path(
    post,
    path = "/api/v1/config/reload",
    tag = "config",
    responses(
        (status = 200, description = "What was changed, and what waits for a restart", body = Applied),
        (status = 409, description = "The server was started without a configuration file", body = Body, content_type = "application/problem+json"),
        (status = 422, description = "The configuration has mistakes, or cannot be put into effect here: nothing is changed", body = Body, content_type = "application/problem+json"),
        (status = 500, description = "Not everything could be taken over", body = Body, content_type = "application/problem+json"),
        (status = 503, description = "Too many changes wait, or the server is stopping", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn reload(State(api): State<Api>, _: Bare) -> Result<Response, Problem> {
    Ok(fresh(api.operator.changes.ask(Wanted::Reload(Why::Api)).await?))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let (status, why) = match &refused {
            Refused::Invalid(error) => {
                let errors = if error.count() == 1 { "an error" } else { "errors" };
                let why = format!("nothing is changed: the configuration has {errors}");
                (StatusCode::UNPROCESSABLE_ENTITY, why)
            }
            Refused::Unusable(_) => (StatusCode::UNPROCESSABLE_ENTITY, refused.to_string()),
            Refused::NoStream(_) => (StatusCode::NOT_FOUND, refused.to_string()),
            Refused::Condition(_) => (StatusCode::PRECONDITION_FAILED, refused.to_string()),
            Refused::Conflict(_) | Refused::NoFile => (StatusCode::CONFLICT, refused.to_string()),
            Refused::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, refused.to_string()),
            Refused::Busy | Refused::Stopping => (StatusCode::SERVICE_UNAVAILABLE, refused.to_string()),
        };
        Problem { mistakes: refused.mistakes(), ..Problem::new(status, why) }
    }
}
