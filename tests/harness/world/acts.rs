//! What a test does in a world beside letting time pass: to players, to their network, to the server's socket.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluice::session::join;
use sluice::session::offer::Offer;
use sluice::shard::command::Command;
use str0m::ice::{StunMessage, TransId};

use super::{Waiting, World};
use crate::link::Way;
use crate::terms::{DTLS, SERVER};

impl World {
    /// The client offers new ICE credentials and the server takes them.
    pub fn restart_ice(&mut self, client: usize) {
        let text = self.clients[client].offer_restart();
        let remote = Offer::parse(&text).expect("an offer").transport(|_| true).credentials.clone();
        let seat = &mut self.seats[client];
        let restart = join::restart(&seat.mids, "camera", (&[SERVER], None), &DTLS, &mut self.random);
        self.clients[client].take_restart(&restart.fragment);
        seat.keys = (restart.local.clone(), remote.ufrag.clone());
        let session = seat.session;
        self.command(Command::RestartIce { session, local: restart.local, remote });
    }

    /// The NAT before a client gives it another address.
    pub fn rebind(&mut self, client: usize, public: SocketAddr) {
        self.owners.insert(public, client);
        self.clients[client].public = public;
    }

    /// The shard's thread stands still for `time`: what comes for it meanwhile waits, and then comes at once, in the order
    /// of the worker's round.
    pub fn stall(&mut self, time: Duration) {
        self.stalled = Some(Waiting::default());
        self.run(time);
        let Waiting { datagrams, media } = self.stalled.take().unwrap_or_default();
        for (remote, genuine, bytes) in datagrams {
            self.deliver_to_server(remote, genuine, &bytes);
        }
        media.into_iter().for_each(|media| self.shard.handle_media(self.now, media));
    }

    /// Fills the shard's socket, or lets it be free again.
    pub fn fill_socket(&mut self, full: bool) {
        self.line.fill(full, self.now);
    }

    /// Lets media spend so much a second from now on: bytes, and 1,500 for each turn.
    pub fn limit(&mut self, rate: Option<f64>) {
        self.line.limit(rate, self.now);
    }

    /// Loses what `filter` says, from now on.
    pub fn lose(&mut self, filter: impl FnMut(Instant, Way, &[u8]) -> bool + 'static) {
        self.filter = Some(Box::new(filter));
    }

    /// Lets a test's own datagram arrive at the server now.
    pub fn inject(&mut self, source: SocketAddr, bytes: &[u8]) {
        self.deliver_to_server(source, false, bytes);
    }

    /// As [`World::inject`], for STUN that a client's engine made: its sender may be answered.
    pub fn inject_genuine(&mut self, source: SocketAddr, bytes: &[u8]) {
        self.deliver_to_server(source, true, bytes);
    }

    /// A new authentic check of a client, as an engine with its credentials would make it.
    pub fn check(&self, client: usize, nominates: bool) -> Vec<u8> {
        let (ours, theirs) = &self.seats[client].keys;
        let name = format!("{}:{theirs}", ours.ufrag);
        let id = TransId::new();
        let message = StunMessage::binding_request(&name, id, true, 7, 1_845_501_695, nominates);
        let mut bytes = vec![0; 300];
        let provider = DTLS.provider();
        let sign = |key: &[u8], parts: &[&[u8]]| provider.sha1_hmac_provider.sha1_hmac(key, parts);
        let length = message.to_bytes(Some(ours.pwd.as_bytes()), &mut bytes, sign).expect("room");
        bytes.truncate(length);
        bytes
    }

    /// Asks for a keyframe on behalf of a client.
    pub fn request_keyframe(&mut self, client: usize) {
        let sent = self.clients[client].request_keyframe(self.now);
        self.send_to_server(client, sent);
    }

    /// A client begins with SCTP, which nobody offered it.
    pub fn start_sctp(&mut self, client: usize) {
        let sent = self.clients[client].start_sctp(self.now);
        self.send_to_server(client, sent);
    }

    /// A client by hand sends a compound report.
    pub fn report(&mut self, client: usize, compound: &[u8]) {
        let sealed = self.clients[client].seal(compound);
        self.send_to_server(client, vec![(SERVER, sealed)]);
    }

    /// From now on every packet that goes to a connected client is opened with its keys, which proves
    /// the index that it was sealed under.
    pub fn open_packets_of(&mut self, client: usize) {
        self.books.open(client, self.clients[client].srtp());
    }

    /// A client closes with a goodbye.
    pub fn close(&mut self, client: usize) {
        let sent = self.clients[client].close(self.now);
        self.send_to_server(client, sent);
    }
}
