//! What `/api/v1` is, in a form that programs read (OpenAPI 3.1): made of what stands at the handlers and the shapes, and of the
//! configuration's own schema. docs/API.md is written from it.

use serde_json::{Value, json};
use utoipa::OpenApi;

use super::{config, events, log, probe, sessions, streams};
use crate::http::access::issue;
use crate::http::drain;
use crate::http::problem::Body;
use crate::operator::events::{LostEvent, SessionEvent, StreamEvent};
use crate::operator::sample::Sample;

/// Every operation, and the shapes of events, which no answer names.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sluice",
        description = "What operators ask of a server, and have changed. It is on the admin listener (`admin.listen`, \
                       127.0.0.1:9997 unless configured), open to whoever reaches it unless `[access]` says who has \
                       `api`.",
    ),
    paths(
        streams::list,
        streams::one,
        streams::put,
        streams::remove,
        probe::probe,
        sessions::list,
        sessions::one,
        sessions::end,
        super::shards,
        events::history,
        events::follow,
        config::told,
        config::reload,
        log::lines,
        log::levels,
        log::change_levels,
        drain::told,
        drain::begin,
        drain::take_back,
        issue::make,
    ),
    components(schemas(Body, Sample, StreamEvent, SessionEvent, LostEvent))
)]
struct Described;

/// The description.
pub fn document() -> Value {
    let mut document = serde_json::to_value(Described::openapi()).expect("texts can be JSON");
    // A stream is what the configuration says that one is.
    let mut keys = sluice_config::json_schema()["properties"]["streams"]["additionalProperties"].take();
    keys["description"] =
        json!("The keys of a stream, as they stand below `[streams.NAME]` in the configuration file.");
    document["components"]["schemas"]["StreamKeys"] = keys;
    let put = &mut document["paths"]["/api/v1/streams/{name}"]["put"];
    put["requestBody"]["content"]["application/json"]["schema"] =
        json!({ "$ref": "#/components/schemas/StreamKeys" });
    // What every path here may say before a handler is asked.
    let refusal = |why: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        json!({ "description": why, "content": { "application/problem+json": { "schema": schema } } })
    };
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut()) {
        if operation["responses"]["400"].is_null() {
            operation["responses"]["400"] = refusal("The query says what means nothing");
        }
        operation["responses"]["401"] = refusal("Nobody said who asks, or with a wrong password");
        operation["responses"]["403"] = refusal("A page of another site asks, or somebody without `api`");
        operation["responses"]["421"] =
            refusal("The listener does not answer to the name that was asked for (`admin.hosts`)");
    }
    document
}
