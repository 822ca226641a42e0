//! A server of ours in its place.
//!
//! Owns what it serves and with which settings, its ports, and what it tells of itself. Never loads it.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it looks for free ports")]

use std::fs;
use std::net::{IpAddr, SocketAddr};

use sluice_load::process::Sample;
use sluice_media::srtp::Library;

use super::super::child::{Child, READY};
use super::super::error::{BenchError, What};
use super::super::probe;
use super::super::site::Place;
use super::Rig;

/// What a server shall serve, and with which settings over the defaults.
#[derive(Debug, Clone, Default)]
pub struct Serving {
    /// `NAME=URL`; none for the demo.
    pub streams: Vec<String>,
    /// `KEY=VALUE`.
    pub sets: Vec<String>,
}

/// A running server of ours. It ends with this.
#[derive(Debug)]
pub struct Server {
    child: Child,
    place: Place,
    http: SocketAddr,
    admin: SocketAddr,
}

impl Serving {
    /// The demo, with room for `viewers` that all join at once.
    pub fn demo(viewers: u32) -> Serving {
        Serving { streams: Vec::new(), sets: Serving::room(viewers) }
    }

    /// Cameras as the streams cam1, cam2 ...
    pub fn cameras(urls: &[String], viewers: u32) -> Serving {
        let streams = urls.iter().enumerate().map(|(index, url)| format!("cam{}={url}", index + 1)).collect();
        Serving { streams, sets: Serving::room(viewers) }
    }

    fn room(viewers: u32) -> Vec<String> {
        let viewers = viewers.max(1_000);
        vec![
            format!("limits.viewers={}", viewers * 2),
            format!("limits.pending={viewers}"),
            // They all come from one address.
            "limits.share_per_address=100".to_owned(),
            "limits.joins_per_address=100000".to_owned(),
            // A bench finds out what a core carries: nobody is refused for what it measures.
            "limits.busy=0".to_owned(),
        ]
    }
}

impl Rig {
    /// Starts a server of one shard on its core, and waits until every stream plays.
    pub async fn server(&self, serving: &Serving) -> Result<Server, BenchError> {
        let (ip, _) = self.site.addresses();
        let [http, admin, udp] = if self.site.is_separate() { [8889, 9997, 8189] } else { free_ports(ip)? };
        let (http, admin) = (SocketAddr::new(ip, http), SocketAddr::new(ip, admin));
        let mut command = self.sluice([
            "--set".to_owned(),
            format!("http.listen={http}"),
            "--set".to_owned(),
            format!("admin.listen={admin}"),
            "--set".to_owned(),
            format!("udp.port={udp}"),
            "--set".to_owned(),
            format!("ice.addresses={ip}"),
            "--set".to_owned(),
            "shards.count=1".to_owned(),
        ]);
        command.args(serving.sets.iter().flat_map(|set| ["--set", set])).args(&serving.streams);
        let mut child = self.start(What::Server, command, &self.server)?;
        let streams = serving.streams.len().max(1) as f64;
        let ready = || {
            // `/readyz` says so of the first stream that plays.
            let answer = self.load.run(|| match probe::get(admin, "/readyz")? {
                (200, _) => probe::get(admin, "/metrics"),
                not_yet => Ok(not_yet),
            });
            let Ok(Ok((200, metrics))) = answer else { return None };
            (probe::metric(&metrics, "sluice_stream_up")? >= streams).then_some(())
        };
        child.until("play its streams", READY, ready).await?;
        Ok(Server { child, place: self.load.clone(), http, admin })
    }
}

impl Server {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Where viewers of a stream join.
    pub fn whep(&self, stream: &str) -> String {
        format!("http://{}/{stream}/whep", self.http)
    }

    /// CPU and memory now.
    pub fn sample(&mut self) -> Result<Sample, BenchError> {
        match Sample::of_all(&[self.pid()]) {
            Some(sample) => Ok(sample),
            None => Err(match self.child.ended() {
                Some(status) => self.child.died(status, "while it was measured"),
                None => BenchError::Cannot(format!("/proc/{} cannot be read", self.pid())),
            }),
        }
    }

    /// One of its metrics, summed over its labels; 0 if it has none such yet.
    pub fn metric(&self, name: &str) -> Result<f64, BenchError> {
        Ok(probe::metric(&self.metrics()?, name).unwrap_or(0.0))
    }

    /// The library that seals its media.
    pub fn cipher(&self) -> Result<Library, BenchError> {
        let name = probe::label(&self.metrics()?, "sluice_cipher_info", "library");
        let name = name.ok_or_else(|| {
            BenchError::Cannot("the server does not tell what seals (sluice_cipher_info)".to_owned())
        })?;
        name.parse().map_err(BenchError::Cannot)
    }

    /// Its metrics as text.
    pub fn metrics(&self) -> Result<String, BenchError> {
        let answer = self.place.run(|| probe::get(self.admin, "/metrics"))?;
        match answer {
            Ok((200, text)) => Ok(text),
            Ok((status, _)) => Err(BenchError::Cannot(format!("{}/metrics answered {status}", self.admin))),
            Err(error) => Err(BenchError::Cannot(format!("{}/metrics: {error}", self.admin))),
        }
    }

    /// Files it has open.
    pub fn open_files(&self) -> Option<usize> {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).ok().map(Iterator::count)
    }
}

/// Free ports for HTTP, administration and media, below those that the kernel gives out itself.
fn free_ports(ip: IpAddr) -> Result<[u16; 3], BenchError> {
    let is_free = |port: u16| {
        std::net::TcpListener::bind((ip, port)).is_ok() && std::net::UdpSocket::bind((ip, port)).is_ok()
    };
    let mut found = Vec::with_capacity(3);
    for _ in 0..1_000 {
        let port = 10_000 + rand::random::<u16>() % 20_000;
        if !found.contains(&port) && is_free(port) {
            found.push(port);
        }
        if let [http, admin, udp] = found[..] {
            return Ok([http, admin, udp]);
        }
    }
    Err(BenchError::Cannot(format!("no three free ports between 10000 and 30000 on {ip}")))
}
