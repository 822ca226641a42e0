//! Who comes and who goes in a load test.
//!
//! Owns how a viewer is set up, and which of them leaves. Never decides when (that is `whep`).
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

use std::net::SocketAddr;
use std::time::Instant;

use super::super::client::{Behaviour, Client};
use super::super::http::Endpoint;
use super::super::options::Switch;
use super::super::worker::{Command, Handle};
use super::{Course, Outcome};

impl Course<'_> {
    /// Somebody joins; the time counts from `began`.
    pub(super) fn join(&mut self, began: Instant) {
        let id = self.next_id;
        self.next_id += 1;
        self.run.attempted += 1;
        self.places.insert(id, None);
        self.watching.push_back(id);
        let verifies = self.options.verify > 0 && id.is_multiple_of(self.options.verify);
        let behaviour = Behaviour {
            nack: self.options.nack == Switch::On,
            verify: verifies.then_some(self.wall),
            impairment: self.options.impairment(),
            seed: self.options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(id)),
        };
        let address = self.addresses[id as usize % self.addresses.len()];
        self.worker(id).send(Command::Join { id, address, behaviour, began });
    }

    /// Who runs a viewer.
    pub(super) fn worker(&self, id: u32) -> &Handle {
        &self.workers[id as usize % self.workers.len()]
    }

    /// Where a viewer joins.
    pub(super) fn endpoint(&self, id: u32) -> Endpoint {
        self.endpoints[id as usize % self.endpoints.len()].clone()
    }

    /// Somebody leaves, and somebody else joins.
    pub(super) fn replace_one(&mut self) {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if !self.watching.is_empty() {
            let chosen = (self.random >> 33) as usize % self.watching.len();
            if let Some(id) = self.watching.swap_remove_back(chosen) {
                self.delete(id);
            }
        }
        self.join(Instant::now());
    }

    /// An offer that nobody stands behind.
    pub(super) fn abandon(&mut self) {
        self.run.abandoned += 1;
        let behaviour = Behaviour { nack: false, verify: None, impairment: Default::default(), seed: 0 };
        // The discard port: nothing is ever sent from there, or to it.
        let nowhere = SocketAddr::new(self.addresses[0], 9);
        let Ok((_, offer)) = Client::new(Instant::now(), nowhere, u32::MAX, behaviour, &self.dtls) else {
            return;
        };
        let endpoint = self.endpoint(self.run.abandoned as u32);
        self.requests.spawn(async move {
            // Whether it is refused does not matter: nobody was going to come.
            let _ = endpoint.post(offer).await;
            (u32::MAX, Outcome::Abandoned)
        });
    }

    /// Ends a viewer's session, if it has one, and then the viewer, as pages do: who says goodbye first is taken for one that
    /// broke off, and has no session left to delete.
    pub(super) fn delete(&mut self, id: u32) {
        let Some(Some(session)) = self.places.remove(&id) else {
            return self.worker(id).send(Command::Leave { id });
        };
        let (endpoint, slots) = (self.endpoint(id), self.slots.clone());
        self.requests.spawn(async move {
            let _slot = slots.acquire().await;
            let _ = endpoint.delete(&session).await;
            (id, Outcome::Deleted)
        });
    }
}
