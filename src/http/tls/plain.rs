//! What a client hears that speaks plain HTTP where TLS is spoken: where to go instead.

use axum::Router;
use axum::extract::Request;
use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::http::problem::Problem;

/// Answers every request.
pub fn routes() -> Router {
    Router::new().fallback(answer)
}

/// Who reads a page is led to it. Anything else is refused, so that nobody goes on to send what is secret in the open.
async fn answer(request: Request) -> Response {
    let secure = secure(&request);
    let instead = secure.as_ref().map_or_else(|| "https://".to_owned(), Uri::to_string);
    let is_page = matches!(*request.method(), Method::GET | Method::HEAD);
    let to = secure.filter(|_| is_page).and_then(|uri| HeaderValue::try_from(uri.to_string()).ok());
    let status = if to.is_some() { StatusCode::TEMPORARY_REDIRECT } else { StatusCode::BAD_REQUEST };
    let detail = format!("this port speaks HTTPS, and the request came by plain HTTP: use {instead}");
    let mut response = Problem::new(status, detail).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    to.map(|to| headers.insert(header::LOCATION, to));
    response
}

/// The same address by HTTPS, if the request says which that is.
fn secure(request: &Request) -> Option<Uri> {
    let said = request.headers().get(header::HOST)?.to_str().ok()?;
    let authority: Authority = said.parse().ok()?;
    // A name with a user in front of it is no host.
    if authority.as_str().contains('@') {
        return None;
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    Uri::builder().scheme("https").authority(authority).path_and_query(path).build().ok()
}
