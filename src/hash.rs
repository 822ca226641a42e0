//! `sluice hash`: a password from the terminal, which does not show it, or from standard input; its hash to standard
//! output.
//!
//! Owns the asking. What a hash is, `http::access::passwords` says.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, read};
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use sluice::http::access::passwords;

/// The longest password: HTTP carries no longer ones.
const LONGEST: usize = 1_024;

/// Asks, and prints the hash.
pub fn run() -> ExitCode {
    let hashed = asked().and_then(|password| passwords::hash(&password).map_err(io::Error::other));
    let unwritten = |error| io::Error::other(format!("cannot write to standard output: {error}"));
    match hashed.and_then(|hash| writeln!(io::stdout(), "{hash}").map_err(unwritten)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "sluice hash: {error}");
            ExitCode::FAILURE
        }
    }
}

fn asked() -> io::Result<String> {
    let password = match io::stdin().is_terminal() {
        true => {
            let password = typed("Password: ")?;
            if typed("Once more: ")? != password {
                return Err(io::Error::other("the two differ"));
            }
            password
        }
        false => {
            let (mut line, mut more) = (String::new(), [0]);
            let mut input = io::stdin().lock();
            // Longer than any password, and no file: what is behind it is looked at for a byte.
            input.by_ref().take(2 * LONGEST as u64).read_line(&mut line)?;
            if line.ends_with('\n') && input.read(&mut more)? > 0 {
                return Err(io::Error::other(
                    "more than one line came, and a password is one: send it alone",
                ));
            }
            line.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    match password.len() {
        0 => Err(io::Error::other("a password is empty: type one, or send it as a line on standard input")),
        1..=LONGEST => Ok(password),
        _ => Err(io::Error::other(format!("a password has at most {LONGEST} bytes"))),
    }
}

/// A line that the terminal does not show.
fn typed(question: &str) -> io::Result<String> {
    let mut terminal = io::stderr();
    write!(terminal, "{question}")?;
    terminal.flush()?;
    enable_raw_mode()?;
    let line = keys();
    disable_raw_mode()?;
    writeln!(terminal)?;
    line
}

fn keys() -> io::Result<String> {
    let mut line = String::new();
    loop {
        let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = read()? else {
            continue;
        };
        match code {
            KeyCode::Enter => return Ok(line),
            KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => {
                return Err(io::Error::other("no password was typed"));
            }
            KeyCode::Backspace => _ = line.pop(),
            KeyCode::Char(c) => line.push(c),
            _ => {}
        }
    }
}
