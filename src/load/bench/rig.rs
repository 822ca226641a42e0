//! The rig: one machine divided between a server and what loads it.
//!
//! Owns the site, the cores, the directory of logs, and starting each kind of process in its place. It is
//! all that a profile needs:
//!
//! ```text
//! let rig = Rig::new("egress", &common, Site::new(common.network)?)?;   // namespaces, cores, DIR
//! let server = rig.server(&Serving::demo(500)).await?;          // waits for /readyz
//! let measured = rig.load(&server, &Loading::of(&[server.whep("demo")], 500)).await?;
//! let floor = rig.floor(&FloorSize { streams: 1, viewers: 500, .. }).await?;
//! drop(server);                                                 // killed; namespaces go with the rig
//! ```
//!
//! Never interprets a figure.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it looks for free ports")]

use std::cell::Cell;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sluice_io::affinity::{self, CoreId};

use super::child::{Child, What};
use super::error::BenchError;
use super::measured::Measured;
use super::options::Common;
use super::probe;
use super::setting::Setting;
use super::site::{Place, Site, cores_text};
use crate::load::process::{self, Sample};

/// Cores of the generator unless told otherwise. More receive faster; beyond this the threads only share
/// what one server core can send.
const LOAD_CORES_MAX: usize = 8;

/// Files that the generator has open beside one a viewer; it checks the same itself.
const OTHER_FILES: u64 = 192;

/// Time for a process to become ready: certificates, self-tests, connecting to cameras.
const READY: Duration = Duration::from_secs(30);

/// Time for a load test beyond what it was asked to take: late joins, repairs, goodbyes.
const LOAD_GRACE: Duration = Duration::from_secs(60);

/// One machine divided.
#[derive(Debug)]
pub struct Rig {
    site: Site,
    server: Place,
    load: Place,
    out: PathBuf,
    exe: PathBuf,
    started: Cell<u32>,
    setting: Setting,
    warnings: Vec<String>,
}

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

/// What `sluice load whep` shall do.
#[derive(Debug, Clone)]
pub struct Loading {
    /// Endpoints; viewers are spread over them.
    pub urls: Vec<String>,
    /// Viewers at a time.
    pub viewers: u32,
    /// Joins a second.
    pub rate: f64,
    /// How long to measure.
    pub duration: Duration,
    /// Further arguments, as in `--nack=off`.
    pub more: Vec<String>,
}

/// A running load test. It ends with this.
#[derive(Debug)]
pub struct Generator {
    child: Child,
    json: PathBuf,
    patience: Duration,
}

/// Running cameras. They end with this.
#[derive(Debug)]
pub struct Cameras {
    _child: Child,
    /// Their URLs.
    pub urls: Vec<String>,
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
        vec![format!("limits.viewers={}", viewers * 2), format!("limits.pending={viewers}")]
    }
}

impl Loading {
    /// So many viewers for 10 s, at the generator's defaults.
    pub fn of(urls: &[String], viewers: u32) -> Loading {
        let duration = Duration::from_secs(10);
        Loading { urls: urls.to_vec(), viewers, rate: 200.0, duration, more: Vec::new() }
    }
}

impl Rig {
    /// Divides the machine and makes DIR; this thread leaves the server's core.
    pub fn new(profile: &str, common: &Common, site: Site) -> Result<Rig, BenchError> {
        let out = common.out.clone().unwrap_or_else(|| PathBuf::from(format!("sluice-bench-{profile}")));
        fs::create_dir_all(&out).map_err(BenchError::file(&out))?;
        let exe = std::env::current_exe().map_err(BenchError::Start)?;
        let (server_core, load_cores, mut warnings) = divide(&affinity::cores(), common)?;
        let cores = format!(
            "server on core {}, generator and cameras on core {}",
            server_core.index(),
            cores_text(&load_cores)
        );
        let setting = Setting::look(site.describe(), cores);
        if !affinity::pin_to_any(&load_cores) {
            warnings.push("the kernel refused to keep this process off the server's core".to_owned());
        }
        if cfg!(debug_assertions) {
            warnings
                .push("this is a debug build: build with --release, these figures say nothing".to_owned());
        }
        Ok(Rig {
            server: site.server(vec![server_core]),
            load: site.load(load_cores),
            site,
            out,
            exe,
            started: Cell::new(0),
            setting,
            warnings,
        })
    }

    /// The directory of reports and logs.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// What makes every figure doubtful.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The machine, the network and the cores, for the report's head.
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// The server's address and the generator's.
    pub fn addresses(&self) -> (IpAddr, IpAddr) {
        self.site.addresses()
    }

    /// Where the server runs.
    pub fn server_place(&self) -> &Place {
        &self.server
    }

    /// Where generator, cameras and other clients run.
    pub fn load_place(&self) -> &Place {
        &self.load
    }

    /// Starts any process in a place, with logs in DIR.
    pub fn start(&self, what: What, command: Command, place: &Place) -> Result<Child, BenchError> {
        let number = self.started.get() + 1;
        self.started.set(number);
        Child::start(what, command, place, &self.out.join(format!("{number:03}-{what}")))
    }

    /// This program, with arguments.
    pub fn sluice<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.exe);
        command.args(arguments);
        command
    }

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

    /// Starts cameras beside the generator, and waits until they can be played.
    pub async fn cameras(&self, count: u16) -> Result<Cameras, BenchError> {
        let (_, ip) = self.site.addresses();
        let command = self.sluice([
            "load".to_owned(),
            "cameras".to_owned(),
            format!("--count={count}"),
            format!("--listen={ip}"),
            "--rtsp-port=0".to_owned(),
        ]);
        let mut child = self.start(What::Cameras, command, &self.load)?;
        let out = child.out().to_owned();
        let urls = || {
            let lines: Vec<String> = fs::read_to_string(&out).ok()?.lines().map(str::to_owned).collect();
            (lines.len() == usize::from(count)).then_some(lines)
        };
        let urls = child.until("listen", READY, urls).await?;
        Ok(Cameras { _child: child, urls })
    }

    /// Starts a load test that also accounts for `pids`, on the cores of `place`.
    pub fn start_load(
        &self,
        pids: &[u32],
        loading: &Loading,
        place: &Place,
    ) -> Result<Generator, BenchError> {
        check_files(loading.viewers)?;
        let json = self.out.join(format!("{:03}-generator.json", self.started.get() + 1));
        // A result of an earlier bench in the same directory is not ours.
        let _ = fs::remove_file(&json);
        let (first, others) = loading.urls.split_first().expect("a load test has an endpoint");
        let mut command = self.sluice(["load", "whep", first]);
        command
            .args(others.iter().flat_map(|url| ["--also", url]))
            .args(pids.iter().map(|pid| format!("--server-pid={pid}")))
            .arg(format!("--viewers={}", loading.viewers))
            .arg(format!("--rate={}", loading.rate))
            .arg(format!("--duration={}ms", loading.duration.as_millis()))
            .arg(format!("--cores={}", cores_text(&place.cores).replace(' ', "")))
            .arg("--json")
            .arg(&json)
            .args(&loading.more);
        let joining = Duration::from_secs_f64(f64::from(loading.viewers) / loading.rate);
        let patience = joining + loading.duration + LOAD_GRACE;
        Ok(Generator { child: self.start(What::Generator, command, place)?, json, patience })
    }

    /// The generator's place in two, for two load tests at a time: on different cores if it has several.
    pub fn load_places(&self) -> [Place; 2] {
        let cores = &self.load.cores;
        let (one, other) = cores.split_at(cores.len() / 2);
        let (one, other) = if one.is_empty() { (other, other) } else { (one, other) };
        [one, other].map(|cores| self.site.load(cores.to_vec()))
    }

    /// Runs a load test against a server of ours.
    pub async fn load(&self, server: &Server, loading: &Loading) -> Result<Measured, BenchError> {
        self.start_load(&[server.pid()], loading, &self.load)?.end().await
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

impl Generator {
    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.ended().is_none()
    }

    /// Asks it to end early, with its report.
    pub fn interrupt(&self) {
        // Without the command it ends with us, and without its report.
        let _ = Command::new("kill").args(["-INT", &self.child.pid().to_string()]).status();
    }

    /// Waits for its report.
    pub async fn end(mut self) -> Result<Measured, BenchError> {
        let status = self.child.end(self.patience).await?;
        // 0 and 1 come with a report; what it says of bounds and joins is ours to judge.
        if !matches!(status.code(), Some(0 | 1)) || !self.json.exists() {
            return Err(self.child.died(status, "without a report"));
        }
        Measured::read(&self.json)
    }
}

/// Whether this shell allows the files that so many viewers need.
fn check_files(viewers: u32) -> Result<(), BenchError> {
    let needed = u64::from(viewers) + OTHER_FILES;
    match process::open_files_limit() {
        Some(allowed) if allowed < needed => Err(BenchError::Cannot(format!(
            "{viewers} viewers need {needed} open files and this shell allows {allowed}: run `ulimit -n {needed}` first"
        ))),
        _ => Ok(()),
    }
}

/// The server's core, the generator's, and what is doubtful about them.
fn divide(cores: &[CoreId], common: &Common) -> Result<(CoreId, Vec<CoreId>, Vec<String>), BenchError> {
    let find = |index: usize| {
        cores
            .iter()
            .find(|core| core.index() == index)
            .copied()
            .ok_or_else(|| BenchError::Core { core: index, usable: cores_text(cores) })
    };
    let no_core = || BenchError::Cannot("the kernel does not tell which cores there are".to_owned());
    let server = match (common.server_core, &common.load_cores[..]) {
        (Some(index), _) => find(index)?,
        (None, taken) => {
            *cores.iter().find(|core| !taken.contains(&core.index())).or(cores.first()).ok_or_else(no_core)?
        }
    };
    let mut load: Vec<CoreId> =
        common.load_cores.iter().map(|&index| find(index)).collect::<Result<_, _>>()?;
    if load.is_empty() {
        load = cores.iter().filter(|core| **core != server).take(LOAD_CORES_MAX).copied().collect();
    }
    if load.is_empty() {
        load.push(server);
    }
    let mut warnings = Vec::new();
    if load.contains(&server) {
        warnings.push(format!(
            "server and generator share core {}: times, gaps and costs are those of both together",
            server.index()
        ));
    }
    Ok((server, load, warnings))
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        common: Common,
    }

    fn parse(arguments: &[&str]) -> Common {
        Line::parse_from(["bench"].iter().chain(arguments)).common
    }

    #[test]
    fn server_and_generator_get_different_cores_where_there_are_two() {
        let cores = affinity::cores();
        let (server, load, warnings) = divide(&cores, &parse(&[])).expect("some core");
        assert_eq!(load.contains(&server), cores.len() == 1);
        assert_eq!(warnings.is_empty(), cores.len() > 1);

        let first = cores[0].index().to_string();
        let (server, load, warnings) =
            divide(&cores, &parse(&["--server-core", &first, "--load-cores", &first])).expect("it is there");
        assert_eq!(load, [server]);
        assert!(warnings[0].contains("share core"), "{warnings:?}");
        if cores.len() > 1 {
            let (server, load, _) =
                divide(&cores, &parse(&["--load-cores", &first])).expect("they are there");
            assert_eq!(load, [cores[0]]);
            assert_ne!(server, cores[0], "the generator's core is left to it");
        }
    }

    #[test]
    fn a_core_that_is_not_there_is_named() {
        let error =
            divide(&affinity::cores(), &parse(&["--server-core", "100000"])).expect_err("no such core");
        assert!(error.to_string().contains("100000"), "{error}");
    }
}
