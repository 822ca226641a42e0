//! Which listeners are open, and to whom, in words for an operator.
//!
//! Owns the words. What opens a listener is `rules`' business.

use std::net::SocketAddr;

use sluice_config::{Access, Action};

use super::rules::Rules;

/// Who may do something, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// Everybody who reaches the listener.
    Everybody,
    /// Whoever comes from some addresses.
    Addresses,
    /// Whoever has a name and a password, or a token.
    Named,
    /// Whoever comes from some addresses, and others with a name and a password, or a token.
    AddressesAndNamed,
    /// Nobody: whoever is named may something else.
    Nobody,
}

/// Where a server listens, beside media.
#[derive(Debug, Clone, Copy)]
pub struct Listeners {
    /// Where pages and WHEP are served (`http.listen`).
    pub http: SocketAddr,
    /// Where operators ask (`admin.listen`).
    pub admin: SocketAddr,
    /// Where metrics alone are served (`metrics.listen`).
    pub metrics: Option<SocketAddr>,
    /// Where profiles alone are served (`pprof.listen`).
    pub profiles: Option<SocketAddr>,
}

/// What there is to say of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Whether everybody may who reaches it, and others than this machine can.
    pub is_open: bool,
    /// A sentence.
    pub text: String,
}

/// A listener of operators: what it is for, its key, what whoever reaches it can do, what it takes.
struct Of {
    at: SocketAddr,
    name: &'static str,
    key: &'static str,
    can: &'static str,
    action: Action,
}

/// Who may do `action` by a configuration.
pub fn openness(access: &Access, action: Action) -> Openness {
    let rules = Rules::new(access, 0);
    if rules.is_open(action) || rules.is_for_every_address(action) {
        return Openness::Everybody;
    }
    match (rules.names(action), rules.asks(action)) {
        (true, true) => Openness::AddressesAndNamed,
        (true, false) => Openness::Addresses,
        (false, true) => Openness::Named,
        (false, false) => Openness::Nobody,
    }
}

fn is_here(at: SocketAddr) -> bool {
    at.ip().to_canonical().is_loopback()
}

impl Listeners {
    /// All that is to be said of all of them.
    pub fn hints(&self, access: &Access) -> Vec<Hint> {
        [self.of_viewers(access)].into_iter().chain(self.of_operators(access)).collect()
    }

    /// What is to be said of the one for viewers.
    pub fn of_viewers(&self, access: &Access) -> Hint {
        let port = self.http.port();
        let who = openness(access, Action::Read);
        let text = match who {
            _ if is_here(self.http) => format!(
                "only this machine can open the pages: http.listen is {}; \"[::]:{port}\" opens them to others",
                self.http
            ),
            Openness::Named => "whoever wants to watch is asked for a name and a password".to_owned(),
            Openness::Addresses => {
                "there is no password: whoever has an address that [access] names can watch".to_owned()
            }
            Openness::AddressesAndNamed => {
                "whoever has an address that [access] names can watch without a password; \
                                            whoever has another is asked for a name and a password"
                    .to_owned()
            }
            Openness::Nobody => "nobody can watch: [access] names somebody, and none who may".to_owned(),
            Openness::Everybody => format!(
                "there is no password: whoever reaches TCP {port} can watch. For this machine alone set \
                 http.listen to 127.0.0.1:{port}; for some addresses, or for names with passwords, see [access]"
            ),
        };
        Hint { is_open: who == Openness::Everybody && !is_here(self.http), text }
    }

    /// What is to be said of those for operators.
    pub fn of_operators(&self, access: &Access) -> Vec<Hint> {
        let admin = Of {
            at: self.admin,
            name: "operators",
            key: "admin.listen",
            can: "see and change everything here",
            action: Action::Api,
        };
        let metrics = self.metrics.map(|at| Of {
            at,
            name: "metrics",
            key: "metrics.listen",
            can: "read the metrics, which name all streams",
            action: Action::Metrics,
        });
        let profiles = self.profiles.map(|at| Of {
            at,
            name: "profiles",
            key: "pprof.listen",
            can: "take profiles, which cost processor time and show what the program does",
            action: Action::Pprof,
        });
        [Some(admin), metrics, profiles].into_iter().flatten().map(|one| one.hint(access)).collect()
    }
}

impl Of {
    fn hint(&self, access: &Access) -> Hint {
        let Of { at, name, key, can, action } = self;
        let who = openness(access, *action);
        let is_open = who == Openness::Everybody && !is_here(*at);
        let text = match who {
            Openness::Everybody if is_open => format!(
                "whoever reaches TCP {port} can {can}: set {key} to 127.0.0.1:{port}, or name operators in [access]",
                port = at.port()
            ),
            Openness::Everybody => format!("{name}: {at}, for this machine alone"),
            Openness::Addresses => format!("{name}: {at}, for addresses that [access] names"),
            Openness::Named => format!("{name}: {at}, with a name and a password"),
            Openness::AddressesAndNamed => {
                format!(
                    "{name}: {at}, for addresses that [access] names, for others with a name and a password"
                )
            }
            Openness::Nobody => {
                format!("{name}: {at}, for nobody: [access] names somebody, and none who may")
            }
        };
        Hint { is_open, text }
    }
}

#[cfg(test)]
mod tests {
    use sluice_config::{File, Inputs};

    use super::*;

    fn hints(http: &str, admin: &str, others: Option<&str>, access: &str) -> Vec<Hint> {
        let at = |text: &str| text.parse().expect("an address");
        let others = others.map(at);
        let listeners = Listeners { http: at(http), admin: at(admin), metrics: others, profiles: others };
        let file = Some(File::Text { name: "a.toml".to_owned(), text: access.to_owned() });
        let config = sluice_config::load(Inputs { file, ..Inputs::default() });
        listeners.hints(&config.unwrap_or_else(|error| panic!("{error}")).access)
    }

    #[test]
    fn every_listener_that_is_open_to_others_is_said() {
        let (here, there) = ("127.0.0.1:9997", "[::]:9997");
        const API: &str = "access.users.ann = { password = \"canary-long-enough\", api = true }";
        const OFFICE: &str = "access.users.office = { from = [\"192.0.2.0/24\"], metrics = true }";
        for (http, admin, others, access, open) in [
            (here, here, None, "", &[false, false][..]),
            (there, there, Some(there), "", &[true, true, true, true]),
            (there, here, Some(there), "", &[true, false, true, true]),
            ("[::ffff:127.0.0.1]:9997", "[::1]:9997", Some("127.0.0.9:1"), "", &[false; 4]),
            // Who is named for one of those of operators closes all of them, and none of viewers'.
            (there, there, Some(there), API, &[true, false, false, false]),
            (there, there, Some(there), OFFICE, &[true, false, false, false]),
            (there, there, None, "access.read = [\"192.0.2.0/24\"]", &[false, true]),
        ] {
            let hints = hints(http, admin, others, access);
            let said: Vec<bool> = hints.iter().map(|hint| hint.is_open).collect();
            assert_eq!(said, open, "{http} {admin} {others:?} {access}: {hints:?}");
            for Hint { is_open, text } in &hints {
                assert_eq!(*is_open, text.contains("whoever reaches TCP 9997 can "), "{text}");
            }
        }
    }

    #[test]
    fn who_may_is_said_of_each() {
        let texts = |access: &str| {
            let hints = hints("[::]:1", "192.0.2.5:2", Some("127.0.0.1:3"), access);
            hints.into_iter().map(|hint| hint.text).collect::<Vec<String>>().join("\n")
        };
        let open = texts("");
        for said in [
            "no password: whoever reaches TCP 1 can watch",
            "TCP 2 can see and change everything here: set admin.listen to 127.0.0.1:2",
            "metrics: 127.0.0.1:3, for this machine alone",
            "profiles: 127.0.0.1:3, for this machine alone",
        ] {
            assert!(open.contains(said), "{open}");
        }
        let named = texts(
            "access.users.ann = { password = \"canary-long-enough\", read = [\"*\"], api = true }\n\
             access.users.office = { from = [\"192.0.2.0/24\"], metrics = true }",
        );
        for said in [
            "whoever wants to watch is asked",
            "operators: 192.0.2.5:2, with a name and a password",
            "metrics: 127.0.0.1:3, for addresses that [access] names",
            "profiles: 127.0.0.1:3, for nobody",
        ] {
            assert!(named.contains(said), "{named}");
        }
        const ANN: &str = "access.users.ann = { password = \"canary-long-enough\", read = [\"*\"] }";
        for (read, said) in [
            ("\"0.0.0.0/0\", \"::/0\"", "there is no password: whoever reaches TCP 1 can watch"),
            ("\"127.0.0.0/8\"", "has an address that [access] names can watch without a password"),
        ] {
            let both = texts(&format!("access.read = [{read}]\n{ANN}"));
            assert!(both.contains(said), "{both}");
        }
    }
}
