//! The `sluice` command: arguments, logging, start, signals, stop.
#![forbid(unsafe_code)]

mod dashboards;
mod effective;
mod greet;
mod hash;
mod manual;
mod meant;
mod notify;

use std::io::{IsTerminal, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use sluice::http::access::keys;
use sluice::http::access::open::{Hint, Listeners};
use sluice::http::tls::configured as tls;
use sluice::operator::change::{Changes, Refused, Wanted, Why};
use sluice::ops::log::Lines;
use sluice::ops::logging::{self, Logging};
use sluice::server::configured::Configured;
use sluice::server::watchdog::FAILED;
use sluice::server::{Over, Rereads, Server, ServerError};
use sluice::tasks::named;
use sluice_config::{Config, ConfigError, File, Inputs, StreamName};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::notify::Manager;

/// Thousands of engines allocate small and live long: jemalloc keeps that dense, and can profile it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Version and commit, as `--version` shows them.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("COMMIT_OF_BUILD"), ")");

/// Exit code for a configuration that cannot be used.
const BAD_CONFIGURATION: u8 = 2;

/// Serve cameras to thousands of browsers: RTSP in, WebRTC (WHEP) out.
///
/// Without arguments it serves a demo stream. Every key of the configuration file can also be set by
/// --set key=value and by a variable SLUICE_KEY (udp.port: SLUICE_UDP_PORT).
#[derive(Debug, Parser)]
#[command(version = VERSION, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Do>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Do {
    /// Check a configuration file with the variables and --set that the server would take, and the certificates that it
    /// names; say what is wrong, and exit (2 if anything is).
    Check {
        /// The file.
        file: PathBuf,
        /// Set a key, over the file and the environment, as the server would; lists have commas: A,B. May be repeated.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
    },
    /// Print every key of the configuration with its value and who gave it, as a server started so would have them.
    Config {
        /// Configuration file.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Set a key, over the file and the environment; lists have commas: A,B. May be repeated.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// Streams, as the server takes them.
        #[arg(value_name = "NAME=URL")]
        streams: Vec<String>,
    },
    /// Print the JSON Schema of a configuration file, for editors.
    Schema,
    /// Ask for a password, and print what to write in the configuration for it.
    Hash,
    /// Look at a camera as the server would, and say whether it plays in browsers and what to change.
    Probe(sluice::probe::Options),
    /// Look at this machine as the server would: what is good, what is bad, and what mends it.
    Doctor(sluice::doctor::Options),
    /// Write a configuration from one of MediaMTX, and say what was taken over, what has another name, and what is not here.
    Import(sluice::import::Options),
    /// Watch a server in the terminal: its shards, its streams, and the viewers with the worst lines.
    Top(sluice::top::Options),
    /// Load a server with viewers, and report what they got and what it cost; or be cameras for it.
    #[command(subcommand)]
    Load(sluice_load::Load),
    /// Write Grafana dashboards and Prometheus alerts for this version into a folder.
    Dashboards(dashboards::Options),
    /// Write manual pages and completions of shells into a folder, for a package.
    #[command(hide = true)]
    Manual(manual::Options),
    /// Measure this program on this machine: cost per packet, joins, memory, loss; with reports.
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Figures.
    #[command(flatten)]
    Profile(sluice_bench::Profile),
    /// The same bytes sealed and sent with nothing around them; the profiles start it.
    #[command(subcommand, hide = true)]
    Floor(Floor),
}

/// The two processes of the floor.
#[derive(Debug, Subcommand)]
enum Floor {
    /// Send to the destinations in a file, and print what it cost as JSON.
    Send(sluice::floor::Options),
    /// Be destinations: print their addresses, and receive until standard input ends.
    Sink(sluice_bench::sink::Options),
}

#[derive(Debug, Args)]
struct Serve {
    /// Configuration file (config/sluice.toml explains every key).
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a key, over the file and the environment; lists have commas: A,B. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Draw a QR code of the page's address, for a phone.
    #[arg(long)]
    qr: bool,
    /// Streams: cam1=rtsp://user:password@host/path
    #[arg(value_name = "NAME=URL")]
    streams: Vec<String>,
}

/// What a configuration is read for.
#[derive(Debug, Clone, Copy)]
enum Task {
    Serve,
    Check,
    Examine { json: bool },
}

fn main() -> ExitCode {
    let parsed = match Cli::try_parse() {
        // Help and version are all that was asked for.
        Err(asked) if !asked.use_stderr() => {
            let (text, is_terminal) = (asked.render(), std::io::stdout().is_terminal());
            let text = if is_terminal { text.ansi().to_string() } else { text.to_string() };
            return print(text.trim_end());
        }
        parsed => parsed,
    };
    let Cli { command, serve } = parsed.unwrap_or_else(|error| {
        let first = std::env::args().nth(1).unwrap_or_default();
        // A command's own options are not those of the configuration.
        let error =
            if Cli::command().find_subcommand(first).is_some() { error } else { meant::with_way_out(error) };
        meant::discreet(error).exit()
    });
    let qr = serve.qr;
    let shown: Vec<String> =
        greet::passwords_shown(&serve.streams, &serve.sets).into_iter().map(str::to_owned).collect();
    let environment = match &command {
        None | Some(Do::Check { .. } | Do::Config { .. } | Do::Doctor(_)) => sluice_config::environment(),
        // The others take no configuration.
        Some(_) => Ok(Vec::new()),
    };
    let env = match environment {
        Ok(env) => env,
        Err(error) => {
            complain(&format!("sluice: {error}"));
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let (inputs, task) = match command {
        Some(Do::Hash) => return hash::run(),
        Some(Do::Probe(options)) => return sluice::probe::run(&options),
        Some(Do::Import(options)) => return sluice::import::run(&options),
        Some(Do::Top(options)) => return sluice::top::run(&options),
        Some(Do::Load(load)) => return sluice_load::run(load),
        Some(Do::Config { config, sets, json, streams }) => {
            let file = config.map(File::Path);
            return print_config(Inputs { file, env, sets, streams, ..Inputs::default() }, json);
        }
        Some(Do::Schema) => return print(&format!("{:#}", sluice_config::json_schema())),
        Some(Do::Dashboards(options)) => {
            return wrote("dashboards", dashboards::run(&options, &mut std::io::stdout()));
        }
        Some(Do::Manual(options)) => return wrote("manual", manual::run(&options, &Cli::command())),
        Some(Do::Bench(Bench::Profile(profile))) => return sluice_bench::run(&profile, VERSION),
        Some(Do::Bench(Bench::Floor(floor))) => return run_floor(&floor),
        Some(Do::Check { file, sets }) => {
            (Inputs { file: Some(File::Path(file)), env, sets, ..Inputs::default() }, Task::Check)
        }
        Some(Do::Doctor(sluice::doctor::Options { config, sets, json })) => {
            (Inputs { file: config.map(File::Path), env, sets, ..Inputs::default() }, Task::Examine { json })
        }
        None => {
            let commands = Cli::command().get_subcommands().map(|one| one.get_name().to_owned()).collect();
            let file = serve.config.map(File::Path);
            let (sets, streams) = (serve.sets, serve.streams);
            (Inputs { file, env, sets, streams, commands, ..Inputs::default() }, Task::Serve)
        }
    };
    // A check tells what the file says, not what is served for want of it.
    if matches!(task, Task::Check) {
        return sluice_config::load(inputs).map_or_else(refuse, |config| report(&config));
    }
    let configured = match Configured::read(inputs) {
        Ok(configured) => configured,
        Err(error) => return refuse(error),
    };
    let ended = if let Task::Examine { json } = task {
        sluice::doctor::run(&configured.effective.config, json).map_err(anyhow::Error::from)
    } else {
        run(&configured, qr, &shown)
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("sluice: {}", sentence(&error)));
            let is_configuration = error.downcast_ref().is_some_and(ServerError::is_of_configuration);
            if is_configuration { ExitCode::from(BAD_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

/// Says what is wrong with a configuration.
fn refuse(error: ConfigError) -> ExitCode {
    complain(&error.render(std::io::stderr().is_terminal()));
    ExitCode::from(BAD_CONFIGURATION)
}

fn print_config(inputs: Inputs, json: bool) -> ExitCode {
    let mut text = Vec::new();
    match Configured::read(inputs) {
        Ok(read) => effective::write(&read.effective, json, &mut text).expect("a vector takes all"),
        Err(error) => return refuse(error),
    }
    print(String::from_utf8_lossy(&text).trim_end())
}

/// Writes to standard output. Whoever closes it has read enough; where it cannot be written, nothing was done.
fn print(text: &str) -> ExitCode {
    let written = writeln!(std::io::stdout(), "{text}").and_then(|()| std::io::stdout().flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("cannot write to standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Says what `check` found in a configuration that could be read, and in the certificates that it names.
fn report(config: &Config) -> ExitCode {
    let certificates = match tls::check(config) {
        Ok(certificates) => certificates,
        Err(errors) => {
            complain(&errors.join("\n"));
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let keys = match keys::check(&config.access.jwt) {
        Ok(keys) => keys,
        Err(why) => {
            complain(&why);
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let streams = match config.streams.len() {
        0 if config.patterns.is_empty() => "no streams, so that the demo is served".to_owned(),
        1 => "1 stream".to_owned(),
        streams => format!("{streams} streams"),
    };
    let streams = match config.patterns.len() {
        0 => streams,
        1 => format!("{streams}, and those of 1 pattern"),
        patterns => format!("{streams}, and those of {patterns} patterns"),
    };
    let lines = [format!("the configuration is good: {streams}")].into_iter().chain(certificates);
    let lines =
        lines.chain(keys).chain(greet::plain_passwords(config)).chain(greet::users_without_rights(config));
    // The verdict is in the exit code, whether or not somebody can read the words.
    let _ = print(&lines.collect::<Vec<_>>().join("\n"));
    ExitCode::SUCCESS
}

/// Says why a command that writes files did not.
fn wrote<E: std::error::Error>(command: &str, written: Result<(), E>) -> ExitCode {
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("sluice {command}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run_floor(floor: &Floor) -> ExitCode {
    let ran = match floor {
        Floor::Send(options) => sluice::floor::run(options),
        Floor::Sink(options) => sluice_bench::sink::run(options),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("sluice bench floor: {error}"));
            ExitCode::from(sluice_load::CANNOT_RUN)
        }
    }
}

/// An error and its causes, without those that it has named itself.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.contains(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}

/// Says why the command ends; its exit code says it where nobody reads standard error.
fn complain(text: &str) {
    let Ok(lines) = standard_error() else { return };
    lines.put_all(&format!("{}\n", text.trim_end()));
    lines.flush();
}

/// Lines to standard error. Past the standard library, whose lock a writer that hangs would never give back.
fn standard_error() -> std::io::Result<Lines> {
    Lines::start("log", std::fs::File::from(std::io::stderr().as_fd().try_clone_to_owned()?))
}

fn run(configured: &Configured, qr: bool, passwords_shown: &[String]) -> anyhow::Result<ExitCode> {
    let level = &configured.effective.config.log;
    let logging =
        logging::start(level, standard_error()?).map_err(|error| anyhow::anyhow!("log.level: {error}"))?;
    let lines = logging.lines.clone();
    warn_of_passwords(passwords_shown);
    let served = serve(configured, qr, logging);
    lines.flush();
    served
}

fn serve(configured: &Configured, qr: bool, log: Logging) -> anyhow::Result<ExitCode> {
    // Signals, health and the books of viewers; what parses what others send has executors of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        // Before the start, so that a signal during it is not lost.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = if is_hangup_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        if hangup.is_none() && configured.path().is_some() {
            tracing::info!(
                "SIGHUP is ignored, as whoever started this wanted (nohup): the configuration is read again by \
                 POST /api/v1/config/reload"
            );
        }
        ignore_signals()?;
        let mut manager = Manager::find()?;
        let mut server = Server::start(configured, env!("COMMIT_OF_BUILD"), log).await?;
        greet(&configured.effective.config, &server, qr)?;
        manager.ready();
        let mut rereads = server.rereads();
        let mut looks = tokio::time::interval(manager.period());
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut code = ExitCode::SUCCESS;
        let mut is_told_to_end = false;
        loop {
            tokio::select! {
                _ = looks.tick() => {
                    manager.look(&server.standing());
                    continue;
                }
                _ = terminate.recv() => {
                    // A second one finds no patience; nor does one where viewers have no time.
                    let again = std::mem::replace(&mut is_told_to_end, true) && server.is_draining();
                    if !again && server.drain() {
                        continue;
                    }
                    tracing::info!("SIGTERM: stopping");
                }
                _ = interrupt.recv() => tracing::info!("interrupted: stopping"),
                told = changed(&mut rereads) => {
                    manager.reload(told);
                    continue;
                }
                () = received(&mut hangup) => {
                    // Without a file it is the terminal that went away.
                    if configured.path().is_some() {
                        tokio::spawn(named("reload", reload(server.changes().clone())));
                        continue;
                    }
                    tracing::info!("SIGHUP, and no configuration file to read again: stopping");
                }
                over = server.over() => match over {
                    Over::Drained => tracing::info!("drained: stopping"),
                    Over::Failed(why) => {
                        tracing::error!("{why}: stopping, to be started again");
                        code = ExitCode::from(FAILED);
                    }
                },
            }
            break;
        }
        manager.stopping();
        server.stop().await;
        Ok(code)
    });
    // A name that is still being resolved sits in a thread that cannot be stopped.
    runtime.shutdown_background();
    served
}

/// The next news of reloads; none where nobody is left to tell.
async fn changed(rereads: &mut watch::Receiver<Rereads>) -> Rereads {
    match rereads.changed().await {
        Ok(()) => *rereads.borrow_and_update(),
        Err(_) => std::future::pending().await,
    }
}

/// Has the configuration read again.
async fn reload(changes: Changes) {
    // What came of it is in the log, but where it was not even looked at.
    if let Err(refused @ (Refused::Busy | Refused::Stopping)) = changes.ask(Wanted::Reload(Why::Signal)).await
    {
        tracing::warn!("SIGHUP: {refused}");
    }
}

/// Whether whoever started us wants us to outlive its terminal (`nohup`), as the kernel tells.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // SIGHUP is number 1, the lowest bit.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

/// Waits for a signal; for ever without one.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Takes the signals whose default is the end of the process and that mean nothing to it. A log file at the limit
/// of its size (`LimitFSIZE=`) sends SIGXFSZ: then the line is lost, and not the server.
fn ignore_signals() -> std::io::Result<()> {
    /// Linux's number of SIGXFSZ, which tokio has no name for.
    const FILE_SIZE: i32 = 25;
    for (kind, name, task) in [
        (SignalKind::from_raw(FILE_SIZE), "SIGXFSZ", "ignores SIGXFSZ"),
        (SignalKind::user_defined1(), "SIGUSR1", "ignores SIGUSR1"),
        (SignalKind::user_defined2(), "SIGUSR2", "ignores SIGUSR2"),
    ] {
        let mut signals = signal(kind)?;
        tokio::spawn(named(task, async move {
            // Said once: each line that is over the limit brings one more.
            if signals.recv().await.is_some() {
                tracing::info!("{name} means nothing here: going on");
            }
            while signals.recv().await.is_some() {}
        }));
    }
    Ok(())
}

/// Says where to look; the one thing that goes to standard output. By a thread of its own, because nobody
/// may read it.
fn greet(config: &Config, server: &Server, qr: bool) -> std::io::Result<()> {
    let (scheme, name) = server.web();
    // The one that ACME has still to bring is for these.
    let name = name.or_else(|| config.http.tls.acme.domains.first().cloned());
    let greeting = greet::Greeting {
        listeners: server.listeners,
        scheme,
        name,
        udp_ports: &server.ports,
        tcp_ports: &server.tcp_ports,
        announced: &server.announced,
        streams: config.streams.keys().map(StreamName::as_str).collect(),
        here_opens: greet::opens_here(config, server.listeners.http.ip()),
        access: &config.access,
    };
    let out = Lines::start("greeting", std::io::stdout())?;
    out.put_all(&greeting.text());
    if qr {
        match greeting.qr() {
            Ok(code) => out.put_all(&format!("{code}\n")),
            Err(why) => out.put_all(&format!("{why}\n")),
        }
    }
    let Listeners { http, admin, .. } = server.listeners;
    tracing::info!(version = VERSION, %http, %admin, "serving");
    for Hint { is_open, text } in greeting.hints() {
        if is_open {
            tracing::warn!("{text}");
        } else {
            tracing::info!("{text}");
        }
    }
    for warning in greet::plain_passwords(config).chain(greet::users_without_rights(config)) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Every user of a machine can read the arguments of its processes.
fn warn_of_passwords(streams: &[String]) {
    for name in streams {
        // Alone it makes a stream of a name that it can spell.
        let variable = name.parse().ok().filter(|name: &StreamName| name.folded() == name.as_str());
        let variable = variable.map(|name| format!(" or as the variable {}", name.source_variable()));
        let variable = variable.unwrap_or_default();
        tracing::warn!(
            stream = name,
            "the password of this camera stands on the command line, where `ps` shows it to every user of this \
             machine: give the URL in a file (-c){variable}"
        );
    }
}
