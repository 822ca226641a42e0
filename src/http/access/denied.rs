//! Why somebody may not, as it is counted, as the log has it, and as whoever asked is told.
//!
//! Owns what strangers learn: that they are not let in, and what they could send. Whether there is such a user or such a
//! stream is not among it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use sluice_config::Action;

use super::Asked;
use super::credentials::Credentials;
use crate::count::access::Outcome;
use crate::http::problem::{Challenge, Problem};
use crate::http::request::Head;

/// Time to try again when too much waits.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// A refusal.
#[derive(Debug, Clone)]
pub(super) struct Denied {
    /// Who it seems to be.
    pub(super) who: Option<Arc<str>>,
    /// Whether that was proved, and is not only said.
    pub(super) is_proved: bool,
    /// What it is counted as.
    pub(super) outcome: Outcome,
    /// Why, for an operator.
    pub(super) why: String,
    retry_after: Option<Duration>,
}

impl Denied {
    fn new(outcome: Outcome, who: &str, why: impl Into<String>) -> Denied {
        let who = Some(who).filter(|who| !who.is_empty()).map(Arc::from);
        Denied { who, is_proved: false, outcome, why: why.into(), retry_after: None }
    }

    /// Nobody said who asks.
    pub(super) fn unknown() -> Denied {
        Denied::new(Outcome::Unknown, "", "no credentials")
    }

    /// Nothing that could be said would help.
    pub(super) fn address() -> Denied {
        Denied::new(Outcome::Forbidden, "", "this address is not named")
    }

    /// What was said is not true.
    pub(super) fn wrong(who: &str, why: impl Into<String>) -> Denied {
        Denied::new(Outcome::Wrong, who, why)
    }

    /// It was true.
    pub(super) fn expired() -> Denied {
        Denied::new(Outcome::Expired, "", "the token has expired")
    }

    /// It is true, and no right to this.
    pub(super) fn forbidden(who: Option<Arc<str>>) -> Denied {
        Denied {
            who,
            is_proved: true,
            ..Denied::new(Outcome::Forbidden, "", "no right to it, or not from there")
        }
    }

    /// Too many wrong ones came from there.
    pub(super) fn slowed(who: &str, wait: Duration) -> Denied {
        Denied {
            retry_after: Some(wait),
            ..Denied::new(Outcome::Slowed, who, "too many wrong passwords from there")
        }
    }

    /// Too many wait to be looked at.
    pub(super) fn busy(who: &str) -> Denied {
        let why = "too many passwords wait to be checked";
        Denied { retry_after: Some(BUSY_RETRY), ..Denied::new(Outcome::Busy, who, why) }
    }

    /// What has to be asked does not answer.
    pub(super) fn unavailable(why: impl Into<String>) -> Denied {
        Denied { retry_after: Some(BUSY_RETRY), ..Denied::new(Outcome::Unavailable, "", why) }
    }

    /// What whoever asked is told.
    pub(super) fn problem(self, head: &Head, asked: Asked<'_>, credentials: &Credentials) -> Problem {
        let from = head.client.to_canonical();
        let Asked { action, .. } = asked;
        let knows = credentials != &Credentials::None;
        let (status, detail) = match self.outcome {
            // A query alone may be what was wrong, and a name and a password may help.
            Outcome::Unknown | Outcome::Wrong if !knows => {
                (StatusCode::UNAUTHORIZED, "a name and a password, or a token, are needed here".to_owned())
            }
            Outcome::Expired => (
                StatusCode::UNAUTHORIZED,
                "this token has expired: open the page again with a new one".to_owned(),
            ),
            Outcome::Slowed => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many wrong passwords came from this address: wait before the next one".to_owned(),
            ),
            Outcome::Busy | Outcome::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "access cannot be checked now: try again in a moment".to_owned(),
            ),
            Outcome::Forbidden if !knows => (
                StatusCode::FORBIDDEN,
                format!(
                    "{from} may not {} here: {} who may; behind a proxy, http.trusted_proxies has to name it",
                    verb(action),
                    if action == Action::Read { "access.read lists" } else { "[access] names" },
                ),
            ),
            Outcome::Forbidden => (
                StatusCode::FORBIDDEN,
                format!("who is let in by this name or token may not {} this from {from}", verb(action)),
            ),
            Outcome::Unknown | Outcome::Wrong | Outcome::Allowed => {
                (StatusCode::UNAUTHORIZED, "the name, the password or the token is wrong".to_owned())
            }
        };
        let (status, detail) = match credentials {
            Credentials::Unreadable(fault) if self.outcome == Outcome::Wrong => {
                (fault.status(), fault.way_out())
            }
            _ => (status, detail),
        };
        let challenge = match credentials.may_be_asked() {
            true if is_of_script(head, knows) => Challenge::Script,
            true => Challenge::Basic,
            false => Challenge::Bearer,
        };
        let challenge = Some(challenge).filter(|_| status == StatusCode::UNAUTHORIZED);
        let problem = Problem { challenge, ..Problem::new(status, detail) };
        let problem = problem.counted_as(self.outcome.word());
        match self.retry_after {
            Some(after) => problem.retry_after(after),
            None => problem,
        }
    }
}

impl Outcome {
    /// The reason that a refusal of a request is counted by.
    fn word(self) -> &'static str {
        match self {
            Outcome::Slowed => "password_rate",
            Outcome::Busy => "password_queue",
            Outcome::Unavailable => "access_unavailable",
            Outcome::Unknown | Outcome::Wrong | Outcome::Expired => "no_access",
            Outcome::Forbidden | Outcome::Allowed => "not_allowed",
        }
    }
}

/// Whether a script of a page asks, which a browser would let wait while it asks whoever looks.
///
/// Of a request that `says` no name a browser may know one: it sends it by itself only below the page where it was told,
/// and otherwise when it is challenged. So a script without a name says so where it wants no challenge, or it posts.
fn is_of_script(head: &Head, says: bool) -> bool {
    let has = |name: &str| head.headers.contains_key(name);
    // Browsers send Sec-Fetch-Mode over TLS and to this machine only (W3C Fetch Metadata §3).
    let fetches = head.headers.get("sec-fetch-mode").is_some_and(|mode| mode != "navigate");
    has("x-requested-with") || has(header::ORIGIN.as_str()) || fetches && says
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Read => "watch",
        Action::Publish => "send",
        Action::Api => "change or see",
        Action::Metrics => "scrape",
        Action::Pprof => "profile",
    }
}
