//! Which names the admin listener answers to.
//!
//! A web page can have its own name resolve to this machine, and then read what is here as if it were its own
//! (DNS rebinding). It cannot change the name that its browser asks for, so that is checked.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::problem::{Problem, closing};
use crate::current::Current;
use sluice_media::shown;

/// Names that are answered to, besides addresses and `localhost` (`admin.hosts`).
pub type Hosts = Arc<Current<Arc<[String]>>>;

/// Lets a request through if its name is one of ours. A client without a name is no browser.
pub async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let hosts = hosts.get();
    let line = request.uri().authority().map(|authority| authority.as_str());
    let said = request.headers().get_all(header::HOST);
    let named = line.into_iter().chain(said.iter().map(|host| host.to_str().unwrap_or("?")));
    for host in named {
        if !is_ours(host, &hosts) {
            let why = format!(
                "this listener does not answer to the name {:?}: use its IP address or localhost, or list the name \
                 in admin.hosts",
                shown(host)
            );
            return closing(Problem::new(StatusCode::MISDIRECTED_REQUEST, why));
        }
    }
    next.run(request).await
}

fn is_ours(host: &str, hosts: &[String]) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    address.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_listed_names_are_ours() {
        let hosts = ["metrics.lan".to_owned()];
        for (host, ours) in [
            ("127.0.0.1:9997", true),
            ("192.0.2.1", true),
            ("[::1]:9997", true),
            ("[fd00::1]", true),
            ("localhost", true),
            ("LOCALHOST:9997", true),
            ("localhost.:9997", true),
            ("metrics.lan:9997", true),
            ("Metrics.LAN", true),
            ("evil.example:9997", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("xlocalhost", false),
            ("", false),
            ("?", false),
            ("user@127.0.0.1", false),
        ] {
            assert_eq!(is_ours(host, &hosts), ours, "{host:?}");
        }
    }
}
