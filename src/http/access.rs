//! Who may do what. A handler of what is not for everybody takes the [`Grant`] that its request was given.
//!
//! Owns the decision: at one place, before a body is read, and by the address of whoever asks (`access.read`).

use std::sync::Arc;

use axum::http::StatusCode;
use sluice_config::Network;

use super::problem::Problem;
use super::request::Head;

/// That somebody may watch, and know which streams there are. Only [`Access`] makes one, so no handler can be reached
/// without.
#[derive(Debug)]
pub struct Grant(());

/// The rules.
#[derive(Debug, Clone)]
pub struct Access {
    readers: Arc<[Network]>,
}

impl Access {
    /// These may watch; everybody if there are none.
    pub fn new(readers: &[Network]) -> Access {
        Access { readers: readers.into() }
    }

    /// Whether whoever sent this may watch.
    ///
    /// # Errors
    ///
    /// 403 with the address that was looked at.
    pub fn read(&self, head: &Head) -> Result<Grant, Problem> {
        let client = head.client.to_canonical();
        if self.readers.is_empty() || self.readers.iter().any(|network| network.contains(client)) {
            return Ok(Grant(()));
        }
        let detail = format!(
            "{client} may not watch here: access.read lists who may; behind a proxy, http.trusted_proxies has to name it"
        );
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}
