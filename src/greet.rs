//! What a person reads once the server serves: where to look, from here and from other machines, what must
//! be open for viewers, and what is open to everybody.
//!
//! Owns the words only: it is given addresses and prints nothing itself.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use sluice::http::access::rules::Rules;
use sluice_config::{Action, Config, Password, User, UserName};

/// Streams that are listed with an address of their own; of more than that the page is the better list.
const STREAMS_LISTED: usize = 4;

/// What there is to say.
pub struct Greeting<'a> {
    /// Where pages and WHEP are served.
    pub http: SocketAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The name that the certificate is for: under addresses browsers do not trust it.
    pub name: Option<String>,
    /// UDP ports of the shards, in a row.
    pub udp_ports: &'a [u16],
    /// Their TCP ports, for viewers without UDP; empty if there are none.
    pub tcp_ports: &'a [u16],
    /// Addresses that viewers are told, best first.
    pub announced: &'a [IpAddr],
    /// Names of the streams.
    pub streams: Vec<&'a str>,
    /// Whether whoever opens the page on this machine is let in, or asked for a name.
    pub here_opens: bool,
    /// Who may watch.
    pub access: Openness,
    /// Where operators ask.
    pub admin: SocketAddr,
    /// Who may be one.
    pub operators: Openness,
}

/// Who may do something, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// Everybody who reaches the listener.
    Everybody,
    /// Whoever comes from some addresses.
    Addresses,
    /// Whoever has a name and a password, or a token.
    Named,
}

/// Who may do `action` by a configuration.
pub fn openness(config: &Config, action: Action) -> Openness {
    let rules = Rules::new(&config.access, 0);
    match (rules.is_open(action), rules.asks(action)) {
        (true, _) => Openness::Everybody,
        (false, false) => Openness::Addresses,
        (false, true) => Openness::Named,
    }
}

/// Whether whoever opens a page on this machine is let in, or asked for a name, where it is served at `ip`.
pub fn opens_here(config: &Config, ip: IpAddr) -> bool {
    let rules = Rules::new(&config.access, 0);
    let lets_in = |from: IpAddr| rules.of_address(from, Action::Read).have(None);
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let from = if ip.is_unspecified() { loopback.to_vec() } else { vec![ip] };
    rules.is_open(Action::Read) || rules.asks(Action::Read) || from.into_iter().any(lets_in)
}

/// A warning for each user whose password stands in the configuration as it is.
pub fn plain_passwords(config: &Config) -> impl Iterator<Item = String> {
    let plain = |(name, user): (&UserName, &User)| {
        matches!(user.password, Some(Password::Plain(_))).then(|| {
            format!(
                "the password of the user {name} stands in the configuration as it is: `sluice hash` makes a hash \
                 that proves it and does not tell it"
            )
        })
    };
    config.access.users.iter().filter_map(plain)
}

/// A warning for each user that has no right, and so names nobody: it closes nothing.
pub fn users_without_rights(config: &Config) -> impl Iterator<Item = String> {
    let has_none = |user: &User| {
        user.read.is_empty() && user.publish.is_empty() && !(user.api || user.metrics || user.pprof)
    };
    let users = config.access.users.iter().filter(move |(_, user)| has_none(user));
    users.map(|(name, _)| {
        format!(
            "the user {name} has no right, so that nobody is kept out for it: give it read, publish, api, metrics or pprof"
        )
    })
}

impl Greeting<'_> {
    /// Where to look: the first line is for this machine, the others are for other machines.
    pub fn text(&self) -> String {
        let here = self.here();
        let elsewhere = self.elsewhere();
        let mut text = String::new();
        if self.here_opens {
            let _ = writeln!(text, "open {here}");
            for page in &elsewhere {
                let _ = writeln!(text, "     {page}  (from other machines)");
            }
        } else {
            let _ = writeln!(text, "from this machine nobody may watch: [access] does not name its address");
            for (index, page) in elsewhere.iter().enumerate() {
                let open = if index == 0 { "open" } else { "    " };
                let _ = writeln!(text, "{open} {page}  (from the addresses that [access] names)");
            }
        }
        if self.streams.len() > STREAMS_LISTED {
            let _ = writeln!(text, "     {} streams; the page shows them", self.streams.len());
        } else {
            let page = if self.here_opens { Some(&here) } else { elsewhere.first() };
            for (page, name) in
                page.into_iter().flat_map(|page| self.streams.iter().map(move |name| (page, name)))
            {
                let _ = writeln!(text, "     {page}{name}/");
            }
        }
        text
    }

    /// What a person needs next, in sentences for the log.
    pub fn hints(&self) -> Vec<String> {
        let mut hints = self.hints_on_viewers();
        hints.push(match (self.operators, self.admin.ip().is_loopback()) {
            (Openness::Everybody, true) => format!("operators: {}, for this machine alone", self.admin),
            (Openness::Everybody, false) => format!(
                "whoever reaches TCP {} can see and change everything here: set admin.listen to 127.0.0.1:{0}, or \
                 name operators in [access]",
                self.admin.port()
            ),
            (Openness::Addresses, _) => {
                format!("operators: {}, for addresses that [access] names", self.admin)
            }
            (Openness::Named, _) => format!("operators: {}, with a name and a password", self.admin),
        });
        hints
    }

    fn hints_on_viewers(&self) -> Vec<String> {
        if self.http.ip().is_loopback() {
            return vec![format!(
                "only this machine can open the pages: http.listen is {}; \"[::]:{}\" opens them to others",
                self.http,
                self.http.port()
            )];
        }
        let port = self.http.port();
        vec![
            format!(
                "viewers need TCP {} and UDP {}: let a firewall pass them",
                self.tcp_range(port),
                range(self.udp_ports)
            ),
            match self.access {
                Openness::Named => "whoever wants to watch is asked for a name and a password".to_owned(),
                Openness::Addresses => {
                    "there is no password: whoever has an address that [access] names can watch".to_owned()
                }
                Openness::Everybody => format!(
                    "there is no password: whoever reaches TCP {port} can watch. For this machine alone set \
                     http.listen to 127.0.0.1:{port}; for some addresses, or for names with passwords, see [access]"
                ),
            },
        ]
    }

    /// A QR code of the page for a phone, drawn with half blocks for a dark terminal; or why there is none.
    pub fn qr(&self) -> Result<String, String> {
        let named = self.name().map(|_| self.here());
        let page = named.or_else(|| self.elsewhere().into_iter().next()).ok_or_else(|| {
            format!(
                "no QR code: no other machine can open {}; see http.listen and ice.addresses",
                self.here()
            )
        })?;
        let code = QrCode::new(&page).map_err(|error| format!("no QR code of {page}: {error}"))?;
        // A scanner wants dark on light, and a terminal writes light on dark.
        let drawn = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
        Ok(format!("{drawn}\n{page}"))
    }

    fn here(&self) -> String {
        let (ip, port) = (self.http.ip(), self.http.port());
        match self.name() {
            Some(name) => format!("{}://{name}:{port}/", self.scheme),
            None if ip.is_unspecified() => format!("{}://localhost:{port}/", self.scheme),
            None => self.page(ip),
        }
    }

    fn elsewhere(&self) -> Vec<String> {
        let listens = self.http.ip();
        if listens.is_loopback() || self.name().is_some() {
            return Vec::new();
        }
        if !listens.is_unspecified() {
            return vec![self.page(listens)];
        }
        let reachable = |ip: &&IpAddr| !ip.is_loopback() && (listens.is_ipv6() || ip.is_ipv4());
        self.announced.iter().filter(reachable).map(|ip| self.page(*ip)).collect()
    }

    /// The name that leads here, for everybody.
    fn name(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| !self.http.ip().is_loopback())
    }

    fn page(&self, ip: IpAddr) -> String {
        format!("{}://{}/", self.scheme, SocketAddr::new(ip, self.http.port()))
    }

    /// The port of pages, and those of viewers without UDP.
    fn tcp_range(&self, port: u16) -> String {
        if self.tcp_ports.is_empty() {
            port.to_string()
        } else {
            format!("{port}, {}", range(self.tcp_ports))
        }
    }
}

/// Ports in a row.
fn range(ports: &[u16]) -> String {
    match ports {
        [] => "none".to_owned(),
        [only] => only.to_string(),
        [first, .., last] => format!("{first} to {last}"),
    }
}

/// Names of the streams whose password stands on the command line, among the arguments `NAME=URL` and the
/// values of `--set`.
pub fn passwords_shown<'a>(streams: &'a [String], sets: &'a [String]) -> Vec<&'a str> {
    let positional = streams.iter().filter_map(|argument| argument.split_once('='));
    let set = sets.iter().filter_map(|set| {
        let (key, value) = set.split_once('=')?;
        Some((key.trim().strip_prefix("streams.")?.strip_suffix(".source")?, value))
    });
    let with_password = |value: &str| {
        let value = value.trim().trim_matches('"');
        url::Url::parse(value).is_ok_and(|url| url.password().is_some_and(|password| !password.is_empty()))
    };
    positional.chain(set).filter(|(_, value)| with_password(value)).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting<'a>(http: &str, announced: &'a [IpAddr], streams: Vec<&'a str>) -> Greeting<'a> {
        Greeting {
            http: http.parse().expect("an address"),
            scheme: "http",
            name: None,
            udp_ports: &[8189, 8190],
            tcp_ports: &[],
            announced,
            streams,
            here_opens: true,
            access: Openness::Everybody,
            admin: "127.0.0.1:9997".parse().expect("an address"),
            operators: Openness::Everybody,
        }
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[test]
    fn pages_are_named_for_this_machine_and_for_others() {
        let announced = ips(&["192.0.2.5", "2001:db8::5", "127.0.0.1"]);
        assert_eq!(
            greeting("[::]:8889", &announced, vec!["gate"]).text(),
            "open http://localhost:8889/\n     http://192.0.2.5:8889/  (from other machines)\n     \
             http://[2001:db8::5]:8889/  (from other machines)\n     http://localhost:8889/gate/\n"
        );
        // Who listens on IPv4 only cannot be opened by IPv6.
        assert!(!greeting("0.0.0.0:8889", &announced, vec![]).text().contains("2001:db8"));
    }

    #[test]
    fn nobody_is_led_to_a_page_that_refuses_them() {
        let announced = ips(&["192.0.2.5"]);
        let refused = Greeting { here_opens: false, ..greeting("[::]:8889", &announced, vec!["gate"]) };
        assert_eq!(
            refused.text(),
            "from this machine nobody may watch: [access] does not name its address\n\
             open http://192.0.2.5:8889/  (from the addresses that [access] names)\n     \
             http://192.0.2.5:8889/gate/\n"
        );
        let opens = |access: &str, ip: &str| {
            let text = format!("[streams]\ngate.source = \"demo\"\n{access}");
            let file = Some(sluice_config::File::Text { name: "a.toml".to_owned(), text });
            let config = sluice_config::load(sluice_config::Inputs { file, ..Default::default() });
            opens_here(&config.expect("a good file"), ip.parse().expect("an address"))
        };
        for (access, ip, expected) in [
            ("", "::", true),
            ("[access]\nread = [\"192.0.2.0/24\"]", "::", false),
            ("[access]\nread = [\"192.0.2.0/24\"]", "192.0.2.5", true),
            ("[access]\nread = [\"192.0.2.0/24\", \"::1\"]", "::", true),
            ("[access.users.ann]\npassword = \"canary-long-enough\"\nread = [\"gate\"]", "::", true),
        ] {
            assert_eq!(opens(access, ip), expected, "{access} {ip}");
        }
    }

    #[test]
    fn with_tls_the_name_of_the_certificate_leads_everybody_and_an_address_nobody() {
        let announced = ips(&["192.0.2.5"]);
        let secure = |http: &str, name: Option<&str>| Greeting {
            scheme: "https",
            name: name.map(str::to_owned),
            ..greeting(http, &announced, vec!["gate"])
        };
        let named = secure("[::]:8889", Some("tv.example.com"));
        assert_eq!(
            named.text(),
            "open https://tv.example.com:8889/\n     https://tv.example.com:8889/gate/\n"
        );
        assert!(named.qr().expect("a code").ends_with("\nhttps://tv.example.com:8889/"));
        let text = secure("[::]:8889", None).text();
        assert!(text.starts_with("open https://localhost:8889/\n     https://192.0.2.5:8889/  "), "{text}");
        let text = secure("127.0.0.1:8889", Some("tv.example.com")).text();
        assert!(text.starts_with("open https://127.0.0.1:8889/\n"), "{text}");
    }

    #[test]
    fn many_streams_are_counted_and_not_listed() {
        let text = greeting("[::]:8889", &[], vec!["a", "b", "c", "d", "e"]).text();
        assert_eq!(text, "open http://localhost:8889/\n     5 streams; the page shows them\n");
    }

    #[test]
    fn hints_name_ports_and_the_missing_password() {
        let hints = greeting("[::]:8889", &[], vec![]).hints().join("\n");
        assert!(hints.contains("TCP 8889 and UDP 8189 to 8190"), "{hints}");
        assert!(hints.contains("no password: whoever reaches TCP 8889"), "{hints}");
        let tcp = Greeting { tcp_ports: &[8189, 8190], ..greeting("[::]:8889", &[], vec![]) };
        let hints_of_tcp = tcp.hints().join("\n");
        assert!(hints_of_tcp.contains("TCP 8889, 8189 to 8190 and UDP 8189 to 8190"), "{hints_of_tcp}");
        assert!(hints.contains("operators: 127.0.0.1:9997, for this machine alone"), "{hints}");
        for (access, said) in [
            (Openness::Addresses, "no password: whoever has an address that [access] names"),
            (Openness::Named, "whoever wants to watch is asked"),
        ] {
            let restricted = Greeting { access, ..greeting("[::]:8889", &[], vec![]) };
            let hints = restricted.hints().join("\n");
            assert!(hints.contains(said), "{hints}");
        }
        let admin = "192.0.2.5:9997".parse().expect("an address");
        let exposed = Greeting { admin, ..greeting("[::]:8889", &[], vec![]) };
        let hints = exposed.hints().join("\n");
        assert!(hints.contains("whoever reaches TCP 9997 can see and change everything"), "{hints}");
        let named = Greeting { operators: Openness::Named, ..exposed };
        assert!(named.hints().join("\n").contains("operators: 192.0.2.5:9997, with a name"));
        let tcp = Greeting { tcp_ports: &[8189, 8190], ..greeting("[::]:8889", &[], vec![]) };
        let hints_of_tcp = tcp.hints().join("\n");
        assert!(hints_of_tcp.contains("TCP 8889, 8189 to 8190 and UDP 8189 to 8190"), "{hints_of_tcp}");
        let hints = greeting("127.0.0.1:8889", &[], vec![]).hints().join("\n");
        assert!(hints.contains("only this machine") && !hints.contains("no password"), "{hints}");
    }

    #[test]
    fn a_qr_code_leads_another_machine_to_the_page_and_its_absence_is_explained() {
        let announced = ips(&["127.0.0.1", "192.0.2.5"]);
        let code = greeting("[::]:8889", &announced, vec![]).qr().expect("a code");
        assert!(code.ends_with("\nhttp://192.0.2.5:8889/"), "{code}");
        assert!(code.lines().count() > 10 && code.contains('█'), "{code}");
        let none = greeting("127.0.0.1:8889", &announced, vec![]).qr().expect_err("loopback only");
        assert!(none.contains("http.listen"), "{none}");
    }

    #[test]
    fn passwords_on_the_command_line_are_found_and_nothing_else() {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let streams = own(&["a=rtsp://u:pw@h/x", "b=rtsp://h/x", "c=rtsp://u@h/x", "d=rtsp://u:@h/x"]);
        let sets = own(&["streams.e.source=\"rtsp://u:pw@h/x\"", "http.listen=[::]:1", "udp.port=5"]);
        assert_eq!(passwords_shown(&streams, &sets), ["a", "e"]);
    }
}
