//! One certificate by ACME: from the names to a chain and its key (RFC 8555 §7.4).
//!
//! Owns the order of it, and why there is none in words that name what to do. What the server says is quoted, in bounds.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use sluice_config::Acme;
use zeroize::Zeroizing;

use super::account::{AccountError, account};
use super::cache::Cache;
use super::transport::Transport;
use crate::http::tls::certificate::CertificateError;
use crate::http::tls::challenge::{ChallengeError, Challenges, Open};

/// Looks at an order that is under way: the first after so long, then ever later, and so long in all. The server connects to
/// every name meanwhile, from several places.
const LOOKS: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));

/// The longest that a server is quoted, in characters.
const QUOTE_MAX: usize = 400;

/// Types of errors of RFC 8555 §6.7 begin so.
const TYPE: &str = "urn:ietf:params:acme:error:";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The server cannot be asked, or will not.
    #[error("{}; {}", said(.0), advice(.0))]
    Server(#[from] Error),
    /// The account.
    #[error(transparent)]
    Account(AccountError),
    /// The server does not believe that a name leads here.
    #[error(
        "{name} was not proved: {why}; port 443 of {name} has to lead to http.listen of this server from where the ACME server \
         is: look at DNS, the firewall, and what listens there (RFC 8737)"
    )]
    NotProved {
        /// The name.
        name: String,
        /// What the server says.
        why: String,
    },
    /// It wants proofs that we do not have.
    #[error(
        "the server takes no proof by TLS-ALPN-01 for {0}; use another server, or a certificate by http.tls.certificate"
    )]
    NoSuchProof(String),
    /// No challenge can be answered.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    /// `http.tls.acme.root`, or what was issued, is no good.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It took too long.
    #[error("the server has not made it within {0:?}; it may be busy")]
    Late(Duration),
}

impl From<AccountError> for OrderError {
    fn from(error: AccountError) -> OrderError {
        match error {
            AccountError::Server(error) => OrderError::Server(error),
            error => OrderError::Account(error),
        }
    }
}

/// A chain and its key, as PEM in one text.
pub async fn certificate(
    acme: &Acme,
    cache: &Arc<Cache>,
    transport: &Transport,
    challenges: &Challenges,
) -> Result<Zeroizing<String>, OrderError> {
    let names: Vec<Identifier> = acme.domains.iter().cloned().map(Identifier::Dns).collect();
    let kept = account(acme, cache, transport, false).await?;
    let order = match kept.new_order(&NewOrder::new(&names)).await {
        Err(error) if is(&error, "accountDoesNotExist") => {
            let new: Account = account(acme, cache, transport, true).await?;
            new.new_order(&NewOrder::new(&names)).await
        }
        order => order,
    };
    let mut order = order?;
    let proofs = prove(&mut order, challenges).await?;
    let ready = order.poll_ready(&LOOKS).await;
    if !matches!(ready, Ok(OrderStatus::Ready)) {
        if let Some(error) = doubt(&mut order).await {
            return Err(error);
        }
        ready?;
    }
    drop(proofs);
    let key = Zeroizing::new(order.finalize().await?);
    let chain = order.poll_certificate(&LOOKS).await?;
    Ok(Zeroizing::new(format!("{}\n{}", chain.trim_end(), *key)))
}

/// Opens a challenge for each name that the server wants a proof of, and tells it so.
async fn prove(order: &mut Order, challenges: &Challenges) -> Result<Vec<Open>, OrderError> {
    let mut open = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            // It was proved not long ago.
            continue;
        }
        let name = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
            return Err(OrderError::NoSuchProof(name));
        };
        let digest = challenge.key_authorization().digest();
        let digest = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        open.push(challenges.open(&name, &digest)?);
        challenge.set_ready().await?;
    }
    Ok(open)
}

/// Which name the server does not believe, if it says so.
async fn doubt(order: &mut Order) -> Option<OrderError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        let state = authorization.refresh().await.ok()?;
        let why = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = why {
            let why = quoted(
                problem.detail.as_deref().or(problem.r#type.as_deref()).unwrap_or("it gives no reason"),
            );
            return Some(OrderError::NotProved { name: state.identifier().to_string(), why });
        }
    }
    None
}

fn is(error: &Error, kind: &str) -> bool {
    matches!(error, Error::Api(problem) if problem.r#type.as_deref().and_then(|t| t.strip_prefix(TYPE)) == Some(kind))
}

fn said(error: &Error) -> String {
    match error {
        Error::Json(_) => "its answer is not that of an ACME server".to_owned(),
        error => quoted(&error.to_string()),
    }
}

fn advice(error: &Error) -> &'static str {
    match error {
        Error::Api(_) if is(error, "rateLimited") => {
            "wait as long as it says; try what is to be tried with its staging directory"
        }
        Error::Api(_) if is(error, "rejectedIdentifier") || is(error, "caa") => {
            "it makes none for such a name: look at http.tls.acme.domains and at the name's CAA records"
        }
        Error::Api(_) if is(error, "externalAccountRequired") => {
            "it takes accounts only that it knows from elsewhere, which Sluice cannot show: use another server"
        }
        Error::Api(_) if is(error, "invalidContact") || is(error, "unsupportedContact") => {
            "change http.tls.acme.contact"
        }
        Error::Api(_) => "that is the server's word; what it means stands in RFC 8555 §6.7",
        _ => {
            "look at http.tls.acme.directory, at whether this machine reaches it, and for a private server at \
             http.tls.acme.root"
        }
    }
}

/// Fit for a line of the log, whatever a server says.
fn quoted(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut quoted: String = plain.take(QUOTE_MAX).collect();
    if text.chars().nth(QUOTE_MAX).is_some() {
        quoted.push_str("...");
    }
    quoted
}

#[cfg(test)]
mod tests {
    use instant_acme::Problem;

    use super::*;

    fn problem(kind: &str, detail: &str) -> Error {
        let json = serde_json::json!({ "type": format!("{TYPE}{kind}"), "detail": detail });
        Error::Api(serde_json::from_value::<Problem>(json).expect("a problem"))
    }

    #[test]
    fn what_a_server_says_is_quoted_in_bounds_with_the_way_out() {
        for (error, expected) in [
            (problem("rateLimited", "too many certificates"), "staging directory"),
            (problem("caa", "no"), "CAA records"),
            (problem("externalAccountRequired", "no"), "use another server"),
            (problem("invalidContact", "no"), "http.tls.acme.contact"),
            (problem("serverInternal", "no"), "RFC 8555"),
            (Error::Str("nothing"), "http.tls.acme.root"),
        ] {
            let text = OrderError::from(error).to_string();
            assert!(text.contains(expected), "{text}");
        }
        let long = OrderError::from(problem("malformed", &"\u{1b}[2J\n".repeat(1_000))).to_string();
        assert!(!long.contains(char::is_control) && long.len() < 2 * QUOTE_MAX, "{long}");
    }
}
