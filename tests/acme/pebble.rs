//! A certificate authority that speaks ACME: Debian's `pebble`, Let's Encrypt's own small server for tests, with a name
//! server that it asks.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sluice_harness::authority::{Authority, PairFiles};
use sluice_harness::ports::{free_port, free_tcp_address};
use sluice_harness::{Request, wait_for};

/// One that runs; it forgets everything when it ends.
pub struct Pebble {
    child: Child,
    /// Vouches for its API.
    api: Authority,
    files: PairFiles,
    dns: Dns,
    listen: SocketAddr,
    management: SocketAddr,
}

impl Pebble {
    /// Starts one that looks for proofs on port `tls` of this machine, whatever the name.
    pub fn start(tls: u16) -> Pebble {
        let api = Authority::default();
        let files = PairFiles::new(&api.pair(&["127.0.0.1"]));
        let (listen, management) = (free_tcp_address(), free_tcp_address());
        std::fs::write(files.path("root"), api.pem()).expect("a file");
        let config = serde_json::json!({ "pebble": {
            "listenAddress": listen.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": files.path("certificate"),
            "privateKey": files.path("key"),
            "httpPort": free_port(),
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        std::fs::write(files.path("config"), config.to_string()).expect("a file");
        let dns = Dns::start();
        let child = run(&files.path("config"), dns.address);
        let pebble = Pebble { child, api, files, dns, listen, management };
        pebble.wait();
        pebble
    }

    /// Ends it, and with it all that it knew.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again: it has another root, and knows no account.
    pub fn forget(&mut self) {
        self.stop();
        self.child = run(&self.files.path("config"), self.dns.address);
        self.wait();
    }

    /// From now on `name` leads to this machine.
    pub fn resolve(&self, name: &str) {
        self.dns.names.lock().expect("the names").insert(name.to_owned());
    }

    /// The certificate that those which it makes come from.
    pub fn root(&self) -> CertificateDer<'static> {
        let pem = self.api.request(self.management, &Request::get("/roots/0")).text();
        CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
    }

    /// The keys of the configuration that ask it.
    pub fn settings(&self, cache: &Path) -> Vec<String> {
        let root = self.files.path("root");
        [
            ("directory", format!("https://{}/dir", self.listen)),
            ("cache", cache.display().to_string()),
            ("root", root.display().to_string()),
        ]
        .map(|(key, value)| format!("http.tls.acme.{key}={value}"))
        .to_vec()
    }

    fn wait(&self) {
        wait_for("pebble", || {
            let is_there = std::net::TcpStream::connect(self.listen).is_ok()
                && std::net::TcpStream::connect(self.management).is_ok();
            is_there.then_some(())
        });
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(config: &PathBuf, dns: SocketAddr) -> Child {
    Command::new("pebble")
        .arg("-config")
        .arg(config)
        .args(["-dnsserver", &dns.to_string()])
        // At once; and every name is proved each time. It refuses some nonces nevertheless, as servers do.
        .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_AUTHZREUSE", "0"), ("PEBBLE_WFE_NONCEREJECT", "5")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pebble, of Debian's package of that name (tests/all installs it)")
}

/// A name server (RFC 1035): the names that it knows lead to 127.0.0.1, and there are no others.
struct Dns {
    address: SocketAddr,
    names: Arc<Mutex<BTreeSet<String>>>,
}

impl Dns {
    /// It ends with the test's process.
    fn start() -> Dns {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let dns = Dns { address: socket.local_addr().expect("its address"), names: Arc::default() };
        let names = dns.names.clone();
        std::thread::spawn(move || {
            let mut query = [0; 1_024];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                if let Some(answer) = answer(&query[..length], &names.lock().expect("the names")) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        dns
    }
}

fn answer(query: &[u8], names: &BTreeSet<String>) -> Option<Vec<u8>> {
    const A: [u8; 4] = [0, 1, 0, 1];
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let question = query.get(12..at + 4)?;
    let is_known = names.contains(&labels.join("."));
    let has_address = is_known && question.ends_with(&A);
    // An answer with recursion, without an error or with NXDOMAIN.
    let flags = [0x81, if is_known { 0x80 } else { 0x83 }];
    let counts = [0, 1, 0, u8::from(has_address), 0, 0, 0, 0];
    let mut answer = [&query[..2], &flags, &counts, question].concat();
    if has_address {
        // The name of the question, its type, a second, and four bytes of address.
        answer.extend([&[0xc0, 12][..], &A, &[0, 0, 0, 1, 0, 4, 127, 0, 0, 1]].concat());
    }
    Some(answer)
}
