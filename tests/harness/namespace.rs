//! A network namespace with one link to here, for a browser that has an address of its own. Needs root.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::binary::Binary;
use crate::ports::free_port;
use crate::server::Sluice;

/// Removed with the test.
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// The device of our end of the link.
    pub device: String,
    /// Our address on the link.
    near: &'static str,
}

/// The device of the other end, inside the namespace.
pub const FAR: &str = "far";

impl Namespace {
    /// Our end has the address `near` and the other end `far`, both of a network of 256.
    pub fn new(near: &'static str, far: &str) -> Namespace {
        // The last one may still be there for a moment.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let id = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let namespace = Namespace { name: format!("sluice-{id}"), device: format!("slu{id}"), near };
        let (name, device) = (&namespace.name, &namespace.device);
        ip(&format!("netns add {name}"));
        ip(&format!("link add {device} type veth peer name {FAR} netns {name}"));
        // An IPv6 address of its own, which the kernel settles a second or two later, would be a change of
        // network to a browser inside: it stops what it loads (`net::ERR_NETWORK_CHANGED`).
        ip(&format!("link set {device} addrgenmode none"));
        namespace.ip(&format!("link set {FAR} addrgenmode none"));
        ip(&format!("address add {near}/24 dev {device}"));
        ip(&format!("link set {device} up"));
        namespace.ip(&format!("address add {far}/24 dev {FAR}"));
        namespace.ip(&format!("link set {FAR} up"));
        namespace.ip("link set lo up");
        namespace
    }

    /// `ip` with these arguments, inside.
    pub fn ip(&self, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.name));
    }

    /// A server that plays the demo on our end of the link.
    pub fn serve(&self, binary: Binary, arguments: &[&str]) -> Sluice {
        let near = self.near;
        let http: SocketAddr = format!("{near}:{}", free_port()).parse().expect("an address");
        let listen = format!("http.listen={http}");
        let (address, announced) = (format!("udp.address={near}"), format!("ice.addresses={near}"));
        let given = ["--set", &listen, "--set", &address, "--set", &announced];
        let mut sluice = binary.start(&[&given, arguments].concat());
        sluice.http = http;
        sluice.wait_until_playing("demo");
        sluice
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The namespace itself lives as long as a process of the browser is in it, and its link with it.
        let _ = Command::new("ip").args(["link", "delete", &self.device]).status();
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

fn ip(arguments: &str) {
    run("ip", arguments);
}

/// Runs a program that sets the network up.
pub fn run(program: &str, arguments: &str) {
    let status = Command::new(program).args(arguments.split(' ')).status();
    let status = status.expect("ip and tc, from the Debian package iproute2");
    assert!(status.success(), "{program} {arguments}: {status} (it needs root)");
}
