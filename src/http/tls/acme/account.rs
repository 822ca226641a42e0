//! The account at an ACME server (RFC 8555 §7.3): the one that is kept, or a new one.
//!
//! Owns what is kept of it: who it is, its key, and the contact that the server was told.

use std::sync::Arc;

use instant_acme::{Account, AccountCredentials, Error, NewAccount};
use serde::{Deserialize, Serialize};
use sluice_config::Acme;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::cache::{Cache, CacheError};
use super::transport::Transport;

/// In the file.
#[derive(Serialize, Deserialize)]
struct Kept {
    contact: Option<String>,
    account: AccountCredentials,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The disk.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Somebody has changed the file.
    #[error("the account in http.tls.acme.cache cannot be read ({0}): delete it, and another is made")]
    Unreadable(String),
    /// The server.
    #[error(transparent)]
    Server(#[from] Error),
}

/// The account that is kept, or one that is made; always a new one if `is_lost` says that the server does not know the kept
/// one any more. It has the contact of `acme` then.
pub async fn account(
    acme: &Acme,
    cache: &Arc<Cache>,
    transport: &Transport,
    is_lost: bool,
) -> Result<Account, AccountError> {
    let contact = acme.contact.as_ref().map(|address| format!("mailto:{address}"));
    let contact: Vec<&str> = contact.as_deref().into_iter().collect();
    let builder = Account::builder_with_http(Box::new(transport.clone()));
    let kept = if is_lost { None } else { kept(cache.clone()).await? };
    let Some(kept) = kept else {
        let new = NewAccount {
            contact: &contact,
            // Whoever names domains does (config/sluice.toml).
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (account, credentials) = builder.create(&new, acme.directory.expose().to_string(), None).await?;
        keep(cache.clone(), &Kept { contact: acme.contact.clone(), account: credentials }).await?;
        tracing::info!(directory = %acme.directory, "ACME: an account was made");
        return Ok(account);
    };
    if kept.contact == acme.contact {
        return Ok(builder.from_credentials(kept.account).await?);
    }
    // The library takes its credentials and gives none back.
    let again = serde_json::to_vec(&kept.account).map_err(Error::from)?;
    let account = builder.from_credentials(kept.account).await?;
    account.update_contacts(&contact).await?;
    let again = serde_json::from_slice(&Zeroizing::new(again)).map_err(Error::from)?;
    keep(cache.clone(), &Kept { contact: acme.contact.clone(), account: again }).await?;
    Ok(account)
}

async fn kept(cache: Arc<Cache>) -> Result<Option<Kept>, AccountError> {
    let Some(bytes) = aside(move || cache.account()).await? else { return Ok(None) };
    // What the library quotes may be of the key.
    let place = |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
    serde_json::from_slice(&bytes).map(Some).map_err(|error| AccountError::Unreadable(place(error)))
}

async fn keep(cache: Arc<Cache>, kept: &Kept) -> Result<(), AccountError> {
    let json = Zeroizing::new(serde_json::to_vec(kept).map_err(Error::from)?);
    Ok(aside(move || cache.keep_account(&json)).await?)
}

/// Does it on a thread of its own: a disk may take as long as it likes.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
