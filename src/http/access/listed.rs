//! Which streams a list has for somebody whom `access.hook` alone knows: those that it said yes to.
//!
//! Owns how many questions a list may cost. It said yes to the list itself, so none of them is a guess.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use futures::future::join_all;
use sluice_config::Action;

use super::credentials::Credentials;
use super::hook::{Hook, LISTED_FOR};
use super::{Access, From, Grant, Said};
use crate::contain::read;
use crate::http::request::Head;
use crate::session::right::Proof;

/// Streams that it is asked about for one list, beside those whose answers are known. More make longer lists whole at once, and
/// let each page that opens cost more questions; what is left out comes with the lists that follow.
const ASKED_MAX: usize = 64;

impl Access {
    /// What of a list of `streams` is for who asked for it: all that `grant` holds for, but of who is known to `access.hook`
    /// alone only what it says yes to. What it does not answer in time is left out.
    pub async fn listed(&self, head: &Head, grant: Grant, streams: &[&str]) -> Grant {
        let judge = read(&self.judge).clone();
        let Some(hook) = judge.hook.as_ref().filter(|_| grant.right.proof == Proof::Hook) else {
            return grant;
        };
        let (now, address) = (Instant::now(), head.client.to_canonical());
        let credentials = Credentials::of(&head.headers, head.query.as_deref());
        let said = Said::of(From { address, credentials: &credentials, head });
        let of_address = judge.rules.of_address(address, Action::Read);
        let (mut known, mut unknown) = (HashSet::new(), Vec::new());
        for stream in streams {
            if of_address.have(Some(stream)) {
                known.insert((*stream).to_owned());
                continue;
            }
            match hook.remembers_for(&said.question((Action::Read, Some(stream))), now, LISTED_FOR) {
                Some(true) => _ = known.insert((*stream).to_owned()),
                Some(false) => {}
                None => unknown.push(*stream),
            }
        }
        unknown.truncate(ASKED_MAX);
        let asked = unknown.into_iter().map(|stream| self.is_listed(hook, &said, stream, now));
        known.extend(join_all(asked).await.into_iter().flatten());
        Grant { listed: Some(Arc::new(known)), ..grant }
    }

    /// The stream, if the other server says yes to it.
    async fn is_listed(&self, hook: &Hook, said: &Said<'_>, stream: &str, now: Instant) -> Option<String> {
        let question = said.question((Action::Read, Some(stream)));
        let yes = hook.ask_beside(&self.asking, &question, now).await;
        matches!(yes, Ok(true)).then(|| stream.to_owned())
    }
}
