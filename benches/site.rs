//! Where processes run: two network namespaces with a veth pair between them, or this machine's loopback.
//!
//! Owns making and unmaking the namespaces, whose cores receive, and putting a thread into one and onto its cores. What
//! a thread starts inherits both, so neither `ip netns exec` nor `taskset` is needed. Never starts a server.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use sluice_io::affinity::{self, CoreId};
use sluice_io::namespace;

use super::error::BenchError;
use super::options::{Network, Receiving};

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
    /// Why the sender receives for the other side; nothing if the receiver does so itself.
    sender_receives: Option<String>,
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
            Ok(namespaces) => Ok(Site {
                namespaces: Some(namespaces),
                because: String::new(),
                sender_receives: Some("receiving was not steered".to_owned()),
            }),
            Err(error) if wanted.is_some() => Err(error),
            Err(error) => Ok(Site::loopback(&error.to_string())),
        }
    }

    /// Loopback, and why.
    pub fn loopback(because: &str) -> Site {
        let sender_receives = Some("loopback cannot be told otherwise".to_owned());
        Site { namespaces: None, because: because.to_owned(), sender_receives }
    }

    /// Has each side receive on cores of its own, unless `wanted` says otherwise or it cannot be had and is not
    /// insisted on.
    ///
    /// A veth pair hands a packet to the other end inside the sender's system call, and all of the receiver's network
    /// stack runs there. Receive packet steering (Documentation/networking/scaling.rst of Linux) queues it for a core
    /// instead, as a network card's interrupt would.
    pub fn steer(
        &mut self,
        wanted: Option<Receiving>,
        server: &[CoreId],
        load: &[CoreId],
    ) -> Result<(), BenchError> {
        let steered = match (&self.namespaces, wanted) {
            (_, Some(Receiving::Sender)) => Err("--receiving sender".to_owned()),
            (None, _) => Err("loopback cannot be told otherwise".to_owned()),
            (Some([near, far]), _) => {
                near.receive_on(server).and_then(|()| far.receive_on(load)).map_err(|error| error.to_string())
            }
        };
        match steered {
            Err(why) if wanted == Some(Receiving::Receiver) => Err(BenchError::Cannot(format!(
                "--receiving receiver: {why}; it needs --network namespaces and a kernel with CONFIG_RPS"
            ))),
            steered => {
                self.sender_receives = steered.err();
                Ok(())
            }
        }
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
        let network = match &self.namespaces {
            Some([server, load]) => {
                format!("two network namespaces ({} and {}) with a veth pair", server.name, load.name)
            }
            None => format!(
                "loopback of this machine ({}), so routes, firewall rules and other traffic of this machine are in the \
                 figures too, which they are not between namespaces",
                self.because
            ),
        };
        match &self.sender_receives {
            None => format!(
                "{network}. Each side's half of the receiving network stack runs on its own cores (RPS), as with a network \
                 card: the server and the floor are charged for what they do alone"
            ),
            Some(why) => format!(
                "{network}. The receiver's half of the network stack, up to its socket, runs inside the sender's system \
                 call and is charged to the server and to the floor alike ({why}); a network card would not charge it"
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

    /// Has the kernel process what its interface receives on these cores.
    fn receive_on(&self, cores: &[CoreId]) -> Result<(), BenchError> {
        let mask = mask(&cores.iter().map(|core| core.index()).collect::<Vec<_>>());
        // In there `/sys` is mounted anew: that of the machine shows the machine's own interfaces.
        let script = format!(
            "for queue in /sys/class/net/veth0/queues/rx-*; do echo {mask} >$queue/rps_cpus || exit; done"
        );
        run(&["netns", "exec", &self.name, "sh", "-c", &script])
    }
}

/// Indices of cores as the kernel reads sets of them: hexadecimal, a comma after each 32.
fn mask(cores: &[usize]) -> String {
    let mut words = vec![0_u32; cores.iter().map(|core| core / 32 + 1).max().unwrap_or(1)];
    cores.iter().for_each(|core| words[core / 32] |= 1 << (core % 32));
    words.iter().rev().map(|word| format!("{word:08x}")).collect::<Vec<_>>().join(",")
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
    run(&arguments.split_whitespace().collect::<Vec<_>>())
}

/// `ip` with arguments that may have blanks in them.
fn run(arguments: &[&str]) -> Result<(), BenchError> {
    let failed =
        |message: String| BenchError::Command { command: format!("ip {}", arguments.join(" ")), message };
    let output = Command::new("ip").args(arguments).output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_a_mask_as_the_kernel_reads_it() {
        assert_eq!(mask(&[0]), "00000001");
        assert_eq!(mask(&[1, 3]), "0000000a");
        assert_eq!(mask(&[0, 33]), "00000002,00000001");
    }

    #[test]
    fn who_receives_is_said_and_refused_where_it_cannot_be_had() {
        let mut site = Site::loopback("a test");
        site.steer(None, &[], &[]).expect("nothing is insisted on");
        assert!(site.describe().contains("inside the sender's system"), "{}", site.describe());
        site.steer(Some(Receiving::Sender), &[], &[]).expect("always possible");
        assert!(site.describe().contains("--receiving sender"), "{}", site.describe());
        let error = site.steer(Some(Receiving::Receiver), &[], &[]).expect_err("loopback").to_string();
        assert!(error.contains("--network namespaces"), "{error}");
    }

    /// Where namespaces can be made at all.
    #[test]
    fn each_side_receives_on_its_own_cores_unless_told_otherwise() {
        let cores = affinity::cores();
        let [first, .., last] = cores[..] else { return };
        let Ok(mut site) = Site::new(Some(Network::Namespaces)) else { return };
        site.steer(Some(Receiving::Receiver), &[first], &[last]).expect("this kernel steers");
        assert!(site.describe().contains("RPS"), "{}", site.describe());
        for (side, core) in site.namespaces.iter().flatten().zip([first, last]) {
            let read = Command::new("ip")
                .args(["netns", "exec", &side.name, "cat", "/sys/class/net/veth0/queues/rx-0/rps_cpus"])
                .output()
                .expect("ip runs");
            let text = String::from_utf8_lossy(&read.stdout);
            let is = u32::from_str_radix(text.trim().trim_start_matches("0,"), 16).expect("a mask");
            assert_eq!(is, 1 << core.index(), "{text}");
        }
    }
}
