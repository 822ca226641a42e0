//! The configuration in effect, and its being read again.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Api;
use super::asked::fresh;
use crate::http::problem::Problem;
use crate::operator::change::{Refused, Wanted, Why};

pub(super) async fn told(State(api): State<Api>) -> Response {
    fresh(api.operator.settings.told(api.operator.reloads.succeeded_ms()))
}

/// Has the configuration read again, as SIGHUP does.
pub(super) async fn reload(State(api): State<Api>) -> Result<Response, Problem> {
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
