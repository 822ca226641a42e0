//! The rig: one machine divided between a server and what loads it.
//!
//! Owns the site, the cores, and the directory of reports and logs. [`serve`] starts servers in their place,
//! [`load`] cameras and viewers in theirs, and [`super::floor`] the floor. It is all that a profile needs:
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

mod load;
mod serve;

use std::cell::Cell;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sluice_io::affinity::{self, CoreId};

pub use self::load::Loading;
pub use self::serve::{Server, Serving};

use super::child::Child;
use super::error::{BenchError, What};
use super::options::Common;
use super::setting::Setting;
use super::site::{Place, Site, cores_text};

/// Cores of the generator unless told otherwise. More receive faster; beyond this the threads only share
/// what one server core can send.
const LOAD_CORES_MAX: usize = 8;

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

/// Where reports go unless `--out` says: a folder of this run's own, under the system's for temporary files.
fn default_out(profile: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sluice-bench-{profile}-{}", std::process::id()))
}

/// What is to be said of figures of a program that was optimised at `level` (of cargo), perhaps with debug assertions.
fn doubt_of_build(level: &str, asserts: bool) -> Option<&'static str> {
    match level {
        "0" | "1" => Some(
            "this build is not optimised: build with --release, these figures of CPU and capacity say nothing",
        ),
        _ if asserts => Some(
            "this build is optimised, but checks itself (debug assertions, overflow): what it does with CPU is somewhat dearer \
             than with --release",
        ),
        _ => None,
    }
}

impl Rig {
    /// Divides the machine and makes DIR; this thread leaves the server's core.
    pub fn new(profile: &str, version: &str, common: &Common, mut site: Site) -> Result<Rig, BenchError> {
        let out = common.out.clone().unwrap_or_else(|| default_out(profile));
        fs::create_dir_all(&out).map_err(BenchError::file(&out))?;
        let exe = std::env::current_exe().map_err(BenchError::Start)?;
        let (server_core, load_cores, mut warnings) = divide(&affinity::cores(), common)?;
        site.steer(common.receiving, &[server_core], &load_cores)?;
        let cores = format!(
            "server on core {}, generator and cameras on core {}",
            server_core.index(),
            cores_text(&load_cores)
        );
        let setting = Setting::look(version, site.describe(), cores);
        if !affinity::pin_to_any(&load_cores) {
            warnings.push("the kernel refused to keep this process off the server's core".to_owned());
        }
        warnings
            .extend(doubt_of_build(env!("OPT_LEVEL_OF_BUILD"), cfg!(debug_assertions)).map(str::to_owned));
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

    #[test]
    fn a_build_is_doubted_for_what_it_is() {
        let doubt = |level, asserts| doubt_of_build(level, asserts).unwrap_or_default();
        assert!(doubt("0", true).contains("not optimised") && doubt("0", false).contains("not optimised"));
        assert!(doubt("2", true).contains("checks itself") && doubt("3", true).contains("checks itself"));
        assert_eq!(doubt("3", false), "");
    }
}
