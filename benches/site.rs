//! Where processes run: two network namespaces with a veth pair between them, or this machine's loopback.
//!
//! Owns making and unmaking the namespaces, and putting a thread into one and onto its cores. What a
//! thread starts inherits both, so neither `ip netns exec` nor `taskset` is needed. Never starts a server.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use sluice_io::affinity::{self, CoreId};
use sluice_io::namespace;

use super::error::BenchError;
use super::options::Network;

/// Where `ip netns` keeps its names.
const NAMES: &str = "/run/netns";

/// Addresses of the two ends. Nobody else is in that network.
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 73, 0, 1);
const LOAD: Ipv4Addr = Ipv4Addr::new(10, 73, 0, 2);

/// What is between server and generator; the namespaces are gone when it is dropped.
#[derive(Debug)]
pub struct Site {
    namespaces: Option<[Namespace; 2]>,
    /// Why it is loopback.
    because: String,
}

/// A network namespace of ours, deleted with this.
#[derive(Debug)]
struct Namespace {
    name: String,
    file: Arc<File>,
}

/// A network and the cores to run on.
#[derive(Debug, Clone)]
pub struct Place {
    namespace: Option<(String, Arc<File>)>,
    /// The cores, none for all of them.
    pub cores: Vec<CoreId>,
}

impl Site {
    /// Makes the namespaces, unless loopback is wanted or namespaces cannot be made and are not insisted on.
    pub fn new(wanted: Option<Network>) -> Result<Site, BenchError> {
        if wanted == Some(Network::Loopback) {
            return Ok(Site::loopback("--network loopback"));
        }
        match Site::connected() {
            Ok(namespaces) => Ok(Site { namespaces: Some(namespaces), because: String::new() }),
            Err(error) if wanted.is_some() => Err(error),
            Err(error) => Ok(Site::loopback(&error.to_string())),
        }
    }

    /// Loopback, and why.
    pub fn loopback(because: &str) -> Site {
        Site { namespaces: None, because: because.to_owned() }
    }

    /// Two namespaces that reach each other and nothing else.
    fn connected() -> Result<[Namespace; 2], BenchError> {
        let own = std::process::id();
        // From here on dropping them deletes them, whatever fails.
        let server = Namespace::make(format!("sluice-bench-{own}-server"))?;
        let load = Namespace::make(format!("sluice-bench-{own}-load"))?;
        let (near, far) = (&server.name, &load.name);
        ip(&format!("-n {near} link add veth0 type veth peer name veth0 netns {far}"))?;
        for (name, address) in [(near, SERVER), (far, LOAD)] {
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} address add {address}/24 dev veth0"))?;
            ip(&format!("-n {name} link set veth0 up"))?;
        }
        // A browser that must not tell its addresses offers only the one that its default route leaves by.
        ip(&format!("-n {far} route add default via {SERVER}"))?;
        Ok([server, load])
    }

    /// Where the server runs.
    pub fn server(&self, cores: Vec<CoreId>) -> Place {
        self.place(0, cores)
    }

    /// Where generator and cameras run.
    pub fn load(&self, cores: Vec<CoreId>) -> Place {
        self.place(1, cores)
    }

    fn place(&self, index: usize, cores: Vec<CoreId>) -> Place {
        let namespace =
            self.namespaces.as_ref().map(|both| (both[index].name.clone(), both[index].file.clone()));
        Place { namespace, cores }
    }

    /// Addresses of server and generator.
    pub fn addresses(&self) -> (IpAddr, IpAddr) {
        match self.namespaces {
            Some(_) => (SERVER.into(), LOAD.into()),
            None => (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()),
        }
    }

    /// Whether the server has the network to itself, so that its usual ports are free.
    pub fn is_separate(&self) -> bool {
        self.namespaces.is_some()
    }

    /// What it is and what that means for figures, in a sentence or two.
    pub fn describe(&self) -> String {
        match &self.namespaces {
            Some([server, load]) => format!(
                "two network namespaces ({} and {}) with a veth pair. The receiver's half of the network stack, up \
                 to its socket, runs inside the sender's system call and is charged to the server and to the floor \
                 alike; a network card would not charge it",
                server.name, load.name
            ),
            None => format!(
                "loopback of this machine ({}). The receiver's half of the network stack runs inside the sender's \
                 system call and is charged to the server and to the floor alike; routes, firewall rules and \
                 other traffic of this machine are in the figures too, which they are not between namespaces",
                self.because
            ),
        }
    }
}

impl Namespace {
    fn make(name: String) -> Result<Namespace, BenchError> {
        ip(&format!("netns add {name}"))?;
        let path = Path::new(NAMES).join(&name);
        match File::open(&path) {
            Ok(file) => Ok(Namespace { name, file: Arc::new(file) }),
            Err(source) => {
                let _ = ip(&format!("netns delete {name}"));
                Err(BenchError::File { path, source })
            }
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its processes are ended before: they hold it alive, but not its name.
        let _ = ip(&format!("netns delete {}", self.name));
    }
}

impl Place {
    /// Calls on a thread in this network and on these cores, and waits for it. What the call starts
    /// inherits both, and the sockets it makes are of this network.
    pub fn run<T: Send>(&self, call: impl FnOnce() -> T + Send) -> Result<T, BenchError> {
        let here = move || {
            let failed = |source| BenchError::Place(self.describe(), source);
            if let Some((_, file)) = &self.namespace {
                namespace::enter(file.as_fd()).map_err(failed)?;
            }
            if !self.cores.is_empty() && !affinity::pin_to_any(&self.cores) {
                return Err(failed(std::io::Error::other("the kernel refused the cores")));
            }
            Ok(call())
        };
        std::thread::scope(|scope| match scope.spawn(here).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    fn describe(&self) -> String {
        let cores = cores_text(&self.cores);
        match &self.namespace {
            Some((name, _)) => format!("namespace {name} on core {cores}"),
            None => format!("machine's own network on core {cores}"),
        }
    }
}

/// `0, 2, 3`
pub fn cores_text(cores: &[CoreId]) -> String {
    cores.iter().map(|core| core.index().to_string()).collect::<Vec<_>>().join(", ")
}

fn ip(arguments: &str) -> Result<(), BenchError> {
    let failed = |message: String| BenchError::Command { command: format!("ip {arguments}"), message };
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
