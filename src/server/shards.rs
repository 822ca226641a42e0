//! Shards put on the machine: a socket and a core for each, and what the kernel's GSO is good for.
//!
//! Owns what is tried and said when they start. What shards do is none of its business.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use sluice_config::Config;
use sluice_io::affinity::{self, CoreId};
use sluice_io::{GsoMode, Socket, SocketError, SocketOptions, gso};
use tokio::sync::mpsc;

use super::{ServerError, settings};
use crate::http::listen::listen;
use crate::shard::News;
use crate::shard::worker::{self, Gate, Worker, WorkerSetup};
use crate::supervise::Ends;

/// One socket per shard on ports in a row; whether they take IPv6.
pub(super) fn sockets(config: &Config) -> Result<(Vec<Socket>, bool), ServerError> {
    let count = config.shard_count(affinity::cores().len());
    let options = |ip: IpAddr, index: u16| SocketOptions {
        address: SocketAddr::new(ip, config.udp.port + index),
        receive_buffer: config.udp.receive_buffer.as_usize(),
        send_buffer: config.udp.send_buffer.as_usize(),
    };
    let mut ip = config.udp.address;
    let mut sockets = Vec::new();
    for index in 0..count {
        let socket = match Socket::bind(options(ip, index)) {
            Err(SocketError::NoIpv6 { .. }) if ip.is_unspecified() => {
                tracing::info!("this machine has no IPv6: serving IPv4 only");
                ip = Ipv4Addr::UNSPECIFIED.into();
                Socket::bind(options(ip, index))?
            }
            other => other?,
        };
        if index == 0 {
            for (name, grant) in
                [("udp.receive_buffer", socket.receive_buffer()), ("udp.send_buffer", socket.send_buffer())]
            {
                if grant.is_short() {
                    tracing::warn!("{name}: {grant}");
                }
            }
        }
        sockets.push(socket);
    }
    Ok((sockets, ip.is_ipv6()))
}

/// One listener per shard for viewers without UDP, on ports in a row, each of so many connections; none if `ice.tcp_listen` is none.
pub(super) async fn listeners(
    config: &Config,
    count: usize,
    connections: usize,
) -> Result<Vec<Option<Gate>>, ServerError> {
    let mut listeners = Vec::with_capacity(count);
    for index in 0..count as u16 {
        let Some(first) = config.ice.tcp_listen else {
            listeners.push(None);
            continue;
        };
        // Port 0 is any that is free, for each of them.
        let port = if first.port() == 0 { 0 } else { first.port() + index };
        let listener = listen(SocketAddr::new(first.ip(), port), "ice.tcp_listen").await?;
        let listener = listener.into_std().map_err(ServerError::Thread)?;
        listeners.push(Some(Gate { listener, connections }));
    }
    Ok(listeners)
}

/// The core of each shard, by its number; none of those that are not pinned.
pub fn placement(config: &Config) -> Vec<Option<CoreId>> {
    let cores = affinity::cores();
    let count = config.shard_count(cores.len());
    placed(config, count.into(), &cores)
}

fn placed(config: &Config, count: usize, cores: &[CoreId]) -> Vec<Option<CoreId>> {
    (0..count).map(|index| config.shards.pin.then(|| core_of(index, count, cores)).flatten()).collect()
}

/// Starts the thread of each shard on its socket.
pub(super) fn start(
    config: &Config,
    (sockets, gates): (Vec<Socket>, Vec<Option<Gate>>),
    news: &mpsc::Sender<News>,
    ends: &Arc<Ends>,
) -> Result<Vec<Worker>, ServerError> {
    let gso = gso_mode(config);
    let tuning = settings::tuning(config, sockets.len());
    let room = settings::room(config, tuning.rate);
    let placed = placed(config, sockets.len(), &affinity::cores());
    let mut workers = Vec::with_capacity(sockets.len());
    let both = sockets.into_iter().zip(gates);
    for (index, ((socket, gate), core)) in both.zip(placed).enumerate() {
        let (news, ends) = (news.clone(), ends.clone());
        let setup = WorkerSetup { index, core, socket, gate, gso, tuning, room, news, ends };
        workers.push(worker::start(setup)?);
    }
    Ok(workers)
}

/// The last cores, one each: the first is left to the control plane and to interrupts.
fn core_of(index: usize, count: usize, cores: &[CoreId]) -> Option<CoreId> {
    let first = cores.len().saturating_sub(count);
    cores.get((first + index) % cores.len().max(1)).copied()
}

fn gso_mode(config: &Config) -> GsoMode {
    if !config.udp.gso {
        tracing::info!("udp.gso is off: every datagram is a message of its own");
        return GsoMode::Off;
    }
    match gso::self_test() {
        Ok(verdict) => {
            if let gso::GsoVerdict::Refused(why) = &verdict {
                tracing::warn!("GSO is not used: {why}");
            }
            verdict.mode()
        }
        Err(error) => {
            tracing::warn!("GSO is not used, its self-test could not run: {error}");
            GsoMode::Off
        }
    }
}
