//! `sluice top`: what a server does, in a terminal. A shell: it waits for keys and for the server.
//!
//! Owns the options, the terminal and the pace. What is shown is asked for by `ask`, kept and moved through by `screen`,
//! drawn by `draw`, and printed once for scripts by `text`.

mod ask;
mod draw;
mod screen;
mod text;
mod units;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use sluice_load::tls::{Connector, Trust};

use self::ask::{Address, AskError, Seen};
use self::screen::{Screen, Turn};
use crate::executor::Executor;
use crate::operator::sessions::Sort;

/// Exit code for a URL that cannot be used; clap's own, too.
const BAD_USAGE: u8 = 2;

/// Exit code when the server cannot be asked.
const NOT_REACHED: u8 = 3;

/// Exit code when this terminal, or this machine, gives not what is needed.
const CANNOT_RUN: u8 = 4;

/// Time between two looks at the server, which has a new sample each second.
const LOOK: Duration = Duration::from_secs(1);

/// The longest wait for a key: how late an answer is drawn.
const KEY: Duration = Duration::from_millis(100);

/// Watch a server in the terminal: its shards, its streams, and the viewers with the worst lines.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Keys: Tab and arrows move, s sorts, q quits.

Another machine's admin listener is reached through ssh: ssh -L 9997:127.0.0.1:9997 HOST
Where it has TLS and users: https://USER:PASSWORD@HOST:9997

Exit codes:
  0  all was shown
  2  the URL or an option cannot be used
  3  the server does not answer there
  4  this is no terminal, and --once was not given")]
pub struct Options {
    /// The admin listener (admin.listen)
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:9997")]
    url: String,
    /// Print everything once as plain text, for scripts.
    #[arg(long)]
    once: bool,
    /// Viewers shown first: those with the worst loss, round_trip, repairs or estimate, or the newest (since)
    #[arg(long, value_name = "ORDER", default_value = "loss", value_parser = sort)]
    sort: Sort,
    #[command(flatten)]
    trust: Trust,
}

fn sort(name: &str) -> Result<Sort, String> {
    let names = Sort::NAMES.map(|(name, _)| name).join(", ");
    Sort::named(name).ok_or_else(|| format!("there are {names}"))
}

/// Runs the command.
pub fn run(options: &Options) -> ExitCode {
    let complain = |why: &dyn std::fmt::Display, code| {
        let _ = writeln!(std::io::stderr(), "sluice top: {}", text::printable(&why.to_string()));
        ExitCode::from(code)
    };
    let address = match options.url.parse::<Address>() {
        Ok(address) => address,
        Err(error) => return complain(&error, BAD_USAGE),
    };
    let connector = match options.trust.connector(address.scheme()) {
        Ok(connector) => connector,
        Err(error) => return complain(&error, BAD_USAGE),
    };
    let executor = match Executor::source() {
        Ok(executor) => executor,
        Err(error) => return complain(&error, CANNOT_RUN),
    };
    let first = match executor.run(ask::see(&address, &connector, options.sort)) {
        Ok(seen) => seen,
        Err(error) => return complain(&error, NOT_REACHED),
    };
    if options.once {
        return match std::io::stdout().write_all(text::of(&address, &first).as_bytes()) {
            // Whoever closes it has read enough.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                complain(&format!("cannot write to standard output: {error}"), CANNOT_RUN)
            }
            _ => ExitCode::SUCCESS,
        };
    }
    if !std::io::stdout().is_terminal() {
        return complain(&"standard output is no terminal: --once prints everything once", CANNOT_RUN);
    }
    let watched = ratatui::try_init().and_then(|mut terminal| {
        let screen = Screen::new(address.to_string(), first, options.sort);
        let watched = watch(&mut terminal, screen, (address, connector), executor);
        ratatui::restore();
        watched
    });
    match watched {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, CANNOT_RUN),
    }
}

/// Shows what comes until somebody quits.
fn watch(
    terminal: &mut DefaultTerminal,
    mut screen: Screen,
    (address, connector): (Address, Connector),
    executor: Executor,
) -> std::io::Result<()> {
    let (answers_in, answers) = mpsc::channel();
    let (order, orders) = mpsc::channel();
    let first = screen.sort();
    std::thread::Builder::new()
        .name("ask".to_owned())
        .spawn(move || keep_asking(&executor, (&address, &connector), first, &orders, &answers_in))?;
    loop {
        terminal.draw(|frame| draw::all(frame, &mut screen))?;
        if event::poll(KEY)?
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            match screen.handle_key(key) {
                Turn::Quit => return Ok(()),
                // Whoever asks has gone only if it panicked; then what is shown grows old, and says so.
                Turn::Sorted(sort) => drop(order.send(sort)),
                Turn::Moved => {}
            }
        }
        answers.try_iter().for_each(|answer| screen.handle_answer(answer));
    }
}

/// Asks once a second, and at once where another order is wanted, until nobody listens.
fn keep_asking(
    executor: &Executor,
    (address, connector): (&Address, &Connector),
    mut sort: Sort,
    orders: &mpsc::Receiver<Sort>,
    answers: &mpsc::Sender<Result<Seen, AskError>>,
) {
    loop {
        match orders.recv_timeout(LOOK) {
            Ok(other) => sort = other,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if answers.send(executor.run(ask::see(address, connector, sort))).is_err() {
            return;
        }
    }
}
