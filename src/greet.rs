//! What a person reads once the server serves: where to look, from here and from other machines, what must
//! be open for viewers, and what is open to everybody.
//!
//! Owns the words only: it is given addresses and prints nothing itself.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use sluice::http::access::open::{Hint, Listeners};
use sluice::http::access::rules::Rules;
use sluice_config::{Access, Action, Config, Password, User, UserName};

/// Streams that are listed with an address of their own; of more than that the page is the better list.
const STREAMS_LISTED: usize = 4;

/// What there is to say.
pub struct Greeting<'a> {
    /// Where it listens.
    pub listeners: Listeners,
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
    /// Who may do what.
    pub access: &'a Access,
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
    pub fn hints(&self) -> Vec<Hint> {
        let plain = |text| Hint { is_open: false, text };
        // That everybody may watch who is not kept out is what a server of pages is for, and no reason to warn.
        let viewers = plain(self.listeners.of_viewers(self.access).text);
        let need = plain(format!(
            "viewers need TCP {} and UDP {}: let a firewall pass them",
            self.tcp_range(self.listeners.http.port()),
            range(self.udp_ports)
        ));
        let need = Some(need).filter(|_| !self.listeners.http.ip().is_loopback());
        need.into_iter().chain([viewers]).chain(self.listeners.of_operators(self.access)).collect()
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
        let (ip, port) = (self.listeners.http.ip(), self.listeners.http.port());
        match self.name() {
            Some(name) => format!("{}://{name}:{port}/", self.scheme),
            None if ip.is_unspecified() => format!("{}://localhost:{port}/", self.scheme),
            None => self.page(ip),
        }
    }

    fn elsewhere(&self) -> Vec<String> {
        let listens = self.listeners.http.ip();
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
        self.name.as_deref().filter(|_| !self.listeners.http.ip().is_loopback())
    }

    fn page(&self, ip: IpAddr) -> String {
        format!("{}://{}/", self.scheme, SocketAddr::new(ip, self.listeners.http.port()))
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
    use std::sync::LazyLock;

    use super::*;

    fn greeting<'a>(http: &str, announced: &'a [IpAddr], streams: Vec<&'a str>) -> Greeting<'a> {
        static ACCESS: LazyLock<Access> = LazyLock::new(Access::default);
        Greeting {
            listeners: Listeners {
                http: http.parse().expect("an address"),
                admin: "127.0.0.1:9997".parse().expect("an address"),
                metrics: None,
                profiles: None,
            },
            scheme: "http",
            name: None,
            udp_ports: &[8189, 8190],
            tcp_ports: &[],
            announced,
            streams,
            here_opens: true,
            access: &ACCESS,
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
    fn hints_name_ports_and_the_missing_password_and_warn_of_what_others_can_operate() {
        let said = |greeting: &Greeting| {
            let hints = greeting.hints();
            let open: Vec<bool> = hints.iter().map(|hint| hint.is_open).collect();
            (open, hints.into_iter().map(|hint| hint.text).collect::<Vec<String>>().join("\n"))
        };
        let (open, hints) = said(&greeting("[::]:8889", &[], vec![]));
        assert!(hints.contains("TCP 8889 and UDP 8189 to 8190"), "{hints}");
        assert!(hints.contains("no password: whoever reaches TCP 8889"), "{hints}");
        assert!(hints.contains("operators: 127.0.0.1:9997, for this machine alone"), "{hints}");
        assert_eq!(open, [false; 3]);
        let tcp = Greeting { tcp_ports: &[8189, 8190], ..greeting("[::]:8889", &[], vec![]) };
        let (_, hints) = said(&tcp);
        assert!(hints.contains("TCP 8889, 8189 to 8190 and UDP 8189 to 8190"), "{hints}");
        let mut exposed = greeting("[::]:8889", &[], vec![]);
        exposed.listeners.profiles = Some("[::]:9999".parse().expect("an address"));
        let (open, hints) = said(&exposed);
        assert!(hints.contains("whoever reaches TCP 9999 can take profiles"), "{hints}");
        assert_eq!(open, [false, false, false, true]);
        let (_, hints) = said(&greeting("127.0.0.1:8889", &[], vec![]));
        assert!(hints.contains("only this machine") && !hints.contains("no password"), "{hints}");
        assert!(!hints.contains("firewall"), "{hints}");
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
