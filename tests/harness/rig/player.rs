//! A player of `sluice load` at an address of its own: cheap enough for thousands.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Instant;

use sluice_load::client::{Behaviour, Client};
use sluice_load::impair::Impairment;
use sluice_media::dtls::SharedDtls;

use crate::terms::SERVER;

static DTLS: LazyLock<SharedDtls> = LazyLock::new(|| SharedDtls::new().expect("DTLS"));

/// A player and where it is.
pub struct Player {
    /// Its socket's address.
    pub address: SocketAddr,
    /// The player.
    pub client: Client,
    /// What it wants to send.
    outgoing: Vec<Vec<u8>>,
}

impl Player {
    /// A player that asks for what it misses, and its offer.
    pub(super) fn new(now: Instant, number: u32) -> (Player, String) {
        let address = address_of(number);
        let behaviour = Behaviour { nack: true, verify: None, impairment: Impairment::default(), seed: 0 };
        let (client, offer) = Client::new(now, address, number, behaviour, &DTLS).expect("an offer");
        (Player { address, client, outgoing: Vec::new() }, offer)
    }

    /// Takes the answer.
    pub(super) fn handle_answer(&mut self, now: Instant, answer: &str) {
        let Player { client, outgoing, .. } = self;
        client.handle_answer(now, answer, &mut collect(outgoing)).expect("an answer");
    }

    /// Takes what it wants to send.
    pub fn take_outgoing(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.outgoing)
    }

    pub(super) fn receive(&mut self, now: Instant, datagram: &[u8]) {
        let Player { client, outgoing, .. } = self;
        client.handle_datagram(now, SERVER, datagram, &mut collect(outgoing)).expect("a datagram");
    }

    /// Lets it do what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Player { client, outgoing, .. } = self;
        if client.deadline() <= now {
            client.handle_timeout(now, &mut collect(outgoing)).expect("time goes on");
        }
    }

    /// Which of all players that ever joined.
    pub(super) fn number(&self) -> u32 {
        number_of(self.address)
    }
}

fn collect(outgoing: &mut Vec<Vec<u8>>) -> impl FnMut(SocketAddr, &[u8]) {
    |_, datagram| outgoing.push(datagram.to_vec())
}

/// Players have the addresses of 10.0.0.0/8, one after the other.
fn address_of(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0001 + number), 4_000))
}

/// Which player has an address.
pub(super) fn number_of(address: SocketAddr) -> u32 {
    match address.ip() {
        IpAddr::V4(ip) => ip.to_bits() - 0x0a00_0001,
        IpAddr::V6(_) => panic!("players have IPv4 addresses"),
    }
}
