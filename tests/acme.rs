//! Certificates by ACME: the first one, its renewal, and what is said when there is none; against a real server.
#![expect(clippy::disallowed_methods, reason = "tests run against real time and real sockets")]

#[path = "acme/pebble.rs"]
mod pebble;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustls::pki_types::{CertificateDer, ServerName};
use sluice_harness::authority::{Authority, PairFiles, connect, trusting};
use sluice_harness::ports::free_tcp_address;
use sluice_harness::{Binary, Request, Sluice, wait_for};

use crate::pebble::Pebble;

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

const NAME: &str = "tv.example.test";
const OTHER: &str = "wall.example.test";
const ORDERS: [&str; 2] = ["good", "failed"];

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let folder = std::env::temp_dir().join(format!("sluice-acme-{}", rand::random::<u64>()));
        std::fs::create_dir(&folder).expect("a new folder");
        Folder(folder)
    }

    fn cache(&self) -> PathBuf {
        self.0.join("acme")
    }

    /// The one certificate in the cache.
    fn kept(&self) -> PathBuf {
        let entries =
            std::fs::read_dir(self.cache()).expect("the cache").map(|entry| entry.expect("an entry").path());
        let mut kept = entries.filter(|path| path.extension().is_some_and(|extension| extension == "pem"));
        let one = kept.next().expect("a certificate");
        assert_eq!(kept.next(), None);
        one
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An authority, and a server of ours whose names it is asked to prove.
struct Rig {
    folder: Folder,
    pebble: Pebble,
    http: SocketAddr,
    names: &'static str,
}

impl Rig {
    /// For these names, with commas, of which the authority knows [`NAME`] only.
    fn new(names: &'static str) -> Rig {
        let http = free_tcp_address();
        let pebble = Pebble::start(http.port());
        pebble.resolve(NAME);
        Rig { folder: Folder::new(), pebble, http, names }
    }

    fn serve(&self) -> Sluice {
        let mut settings = self.pebble.settings(&self.folder.cache());
        settings.push(format!("http.tls.acme.domains={}", self.names));
        settings.push("http.tls.acme.contact=ops@example.test".to_owned());
        settings.push(format!("http.listen={}", self.http));
        settings.push("http.header_timeout=1m".to_owned());
        // SIGHUP is for those who have a file.
        let file = self.folder.0.join("sluice.toml");
        std::fs::write(&file, "[streams.demo]\nsource = \"demo\"\n").expect("a file");
        let mut arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        arguments.extend(["-c", file.to_str().expect("a path")]);
        let mut sluice = SLUICE.start(&arguments);
        sluice.http = self.http;
        sluice
    }

    /// The certificate that is shown for a name, if the authority vouches for it.
    fn shown(&self, name: &'static str) -> Option<CertificateDer<'static>> {
        shown(self.pebble.root(), name, self.http)
    }
}

fn shown(
    root: CertificateDer<'static>,
    name: &'static str,
    to: SocketAddr,
) -> Option<CertificateDer<'static>> {
    let name = ServerName::try_from(name).expect("a name");
    let stream = connect(trusting(root, &["http/1.1"]), name, to).ok()?;
    Some(stream.conn.peer_certificates()?[0].clone().into_owned())
}

fn orders(sluice: &Sluice) -> [f64; 2] {
    ORDERS.map(|result| {
        sluice.metric(&format!("sluice_tls_acme_orders_total{{listener=\"public\",result=\"{result}\"}}"))
    })
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn a_server_without_a_certificate_gets_one_and_keeps_it() {
    let mut rig = Rig::new("tv.example.test,wall.example.test");
    rig.pebble.resolve(OTHER);
    let sluice = rig.serve();
    let first = wait_for("a certificate", || rig.shown(NAME));
    assert_eq!(rig.shown(OTHER), Some(first.clone()), "one for all names");
    assert_eq!(orders(&sluice), [1.0, 0.0], "{}", sluice.log());
    assert!(sluice.log().contains("an account was made"), "{}", sluice.log());
    let expires = sluice.metric("sluice_tls_certificate_expiry_timestamp_seconds{listener=\"public\"}");
    assert!(expires > 1.7e9, "{expires}");
    let name = ServerName::try_from(NAME).expect("a name");
    let stream = connect(trusting(rig.pebble.root(), &["http/1.1"]), name, rig.http).expect("TLS");
    assert_eq!(Request::get("/demo/").send_over(stream, rig.http).expect("an answer").status, 200);

    let cache = rig.folder.cache();
    assert_eq!(mode(&cache), 0o700);
    let files: Vec<PathBuf> =
        std::fs::read_dir(&cache).expect("the cache").map(|e| e.expect("an entry").path()).collect();
    assert_eq!(files.len(), 2, "an account and a certificate: {files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");

    // The next start needs nobody.
    sluice.terminate();
    let root = rig.pebble.root();
    rig.pebble.stop();
    let sluice = rig.serve();
    assert_eq!(shown(root, NAME, rig.http), Some(first));
    assert_eq!(orders(&sluice), [0.0, 0.0]);
}

#[test]
fn a_certificate_is_renewed_in_time_by_a_server_that_knows_us_no_more_and_nobody_is_cut_off() {
    let mut rig = Rig::new(NAME);
    let sluice = rig.serve();
    wait_for("a certificate", || rig.shown(NAME));
    sluice.terminate();
    // A month of three has begun.
    let old = Authority::default();
    let pair = old.pair_of_days(&[NAME], (61, 29));
    std::fs::write(rig.folder.kept(), format!("{}{}", pair.certificate, pair.key)).expect("a file");
    rig.pebble.stop();
    let sluice = rig.serve();
    let client = old.client(&["http/1.1"]);
    let name = || ServerName::try_from(NAME).expect("a name");
    let mut kept = connect(client.clone(), name(), rig.http).expect("the old one is shown");
    wait_for("a failure", || (orders(&sluice) == [0.0, 1.0]).then_some(()));
    let log = sluice.log();
    assert!(
        log.contains("the certificate stays as it was (for tv.example.test, ")
            && log.contains("http.tls.acme.directory"),
        "{log}"
    );
    connect(client, name(), rig.http).expect("it is shown after a failure, too");

    rig.pebble.forget();
    sluice.signal("HUP");
    let renewed = wait_for("a new certificate", || rig.shown(NAME));
    assert_ne!(Some(&renewed), kept.conn.peer_certificates().and_then(|chain| chain.first()));
    kept.write_all(b"GET /streams.json HTTP/1.1\r\nHost: tv.example.test\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    kept.read_to_string(&mut answer).expect("an answer on the connection of before");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn a_name_that_is_not_proved_is_said_once_with_the_way_out_and_tried_again_on_sighup() {
    let rig = Rig::new("tv.example.test,wall.example.test");
    let sluice = rig.serve();
    wait_for("a failure", || (orders(&sluice) == [0.0, 1.0]).then_some(()));
    assert_eq!(rig.shown(NAME), None);
    let count = |words: &str| sluice.log().matches(words).count();
    wait_for("a word about whoever came too early", || {
        sluice
            .log()
            .contains("there is no certificate yet, so who comes by HTTPS is turned away")
            .then_some(())
    });
    let wrong = "wall.example.test was not proved: ";
    assert_eq!(count(wrong), 1, "{}", sluice.log());
    assert!(
        sluice.log().contains("port 443 of wall.example.test has to lead to http.listen"),
        "{}",
        sluice.log()
    );
    // Plain HTTP goes nowhere else meanwhile.
    assert_eq!(sluice.request(Request::get("/demo/")).status, 307);

    sluice.signal("HUP");
    wait_for("another failure", || (orders(&sluice) == [0.0, 2.0]).then_some(()));
    let at_error = sluice.log().lines().filter(|line| line.contains(wrong) && line.contains("ERROR")).count();
    assert_eq!(at_error, 1, "the same is said once: {}", sluice.log());

    rig.pebble.resolve(OTHER);
    sluice.signal("HUP");
    wait_for("a certificate", || rig.shown(OTHER));
    assert_eq!(orders(&sluice), [1.0, 2.0]);
}

#[test]
fn nobody_is_served_by_the_protocol_of_challenges() {
    let rig = Rig::new(NAME);
    let sluice = rig.serve();
    wait_for("a certificate", || rig.shown(NAME));
    let root = rig.pebble.root();
    let name = || ServerName::try_from(NAME).expect("a name");
    let refused = connect(trusting(root.clone(), &["acme-tls/1"]), name(), rig.http);
    assert!(refused.is_err(), "no challenge is open");
    // Whoever speaks something else besides is no authority (RFC 8737 §3), and gets what it speaks.
    let both = connect(trusting(root, &["acme-tls/1", "http/1.1"]), name(), rig.http).expect("TLS");
    assert_eq!(both.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    let failed = sluice.metric("sluice_tls_handshakes_total{listener=\"public\",result=\"failed\"}");
    assert!(failed >= 1.0, "{failed}");
}

#[test]
fn check_judges_what_acme_needs_without_asking_anybody() {
    let folder = Folder::new();
    let files = PairFiles::new(&Authority::default().pair(&[NAME]));
    let (here, key) = (folder.0.display(), files.path("key").display().to_string());
    let cache = format!("http.tls.acme.cache={here}/acme");
    let nowhere = format!("http.tls.acme.cache={here}/none/acme");
    let in_file = format!("http.tls.acme.cache={key}/acme");
    let no_root = format!("http.tls.acme.root={key}");
    let certificate = format!("http.tls.certificate={}", files.path("certificate").display());
    let key = format!("http.tls.key={key}");
    let domains = "http.tls.acme.domains=tv.example.test";
    let config = folder.0.join("sluice.toml");
    std::fs::write(&config, "").expect("a file");
    for (sets, code, expected) in [
        (
            &[domains, &cache][..],
            0,
            "http.tls.acme: no certificate yet; https://acme-v02.api.letsencrypt.org/directory is asked",
        ),
        (&[domains, &nowhere], 2, "it cannot be made"),
        (&[domains, &in_file], 2, "nothing can be kept in it"),
        (&[domains, &cache, &no_root], 2, "there is no certificate in it"),
        (&[domains, &cache, "http.tls.acme.root=/none.pem"], 2, "check the path"),
        (&[domains, &certificate, &key], 2, "one listener shows one certificate"),
        (&["http.tls.acme.contact=ops@example.test"], 2, "without `http.tls.acme.domains`"),
        (&[domains, "http.tls.acme.contact=Ops"], 2, "is no mail address"),
        (&[domains, "http.tls.acme.directory=http://ca.lan/"], 2, "over https:// only"),
        (&[domains, "http.tls.acme.cache="], 2, "has to be kept"),
        (&["http.tls.acme.domains=*.example.test"], 2, "wildcard"),
        (&["http.tls.acme.domains=https://tv.example.test/"], 2, "did you mean"),
        (&["http.hsts=1h"], 2, "plain HTTP may not ask for it"),
        (&["http.hsts=1h", domains, &cache], 0, "the configuration is good"),
    ] {
        let mut command = SLUICE.command();
        command.arg("check").arg(&config);
        command.args(sets.iter().flat_map(|set| ["--set", set]));
        let output = command.output().expect("the binary runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{sets:?}: {said}");
        assert!(said.contains(expected), "{sets:?}: {said}");
    }
    assert!(!folder.cache().exists(), "nothing is made by a look");
}
