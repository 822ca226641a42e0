//! `[http.tls.acme]`: certificates by ACME (RFC 8555), and the grammar of the texts in it.

use std::path::PathBuf;

use crate::{WebUrl, redact::shown, value::Refusal};

/// Names of one certificate at the most, as Let's Encrypt has it.
pub(crate) const DOMAINS_MAX: usize = 100;

/// Let's Encrypt.
pub(crate) const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Where the package lets Sluice write.
pub(crate) const CACHE: &str = "/var/lib/sluice/acme";

/// `[http.tls.acme]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Acme {
    /// The DNS names of the certificate, in lower case; none asks for none.
    pub domains: Vec<String>,
    /// The mail address of whoever answers for the account.
    pub contact: Option<String>,
    /// The `https` URL of the server's directory (RFC 8555 §7.1.1), without a query.
    pub directory: WebUrl,
    /// The folder of account and certificate.
    pub cache: PathBuf,
    /// PEM: whom the server's own certificate must come from; `None` for those whom the machine trusts.
    pub root: Option<PathBuf>,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            contact: None,
            directory: DIRECTORY.parse().expect("an https URL"),
            cache: CACHE.into(),
            root: None,
        }
    }
}

impl Acme {
    /// Whether a certificate is asked for.
    pub fn is_on(&self) -> bool {
        !self.domains.is_empty()
    }
}

/// A DNS name that a certificate can be for (RFC 1123 §2.1, RFC 5890 §2.3.1).
pub(crate) fn domain(text: &str) -> Result<String, Refusal> {
    let quoted = shown(text);
    let name = text.to_ascii_lowercase();
    if name.starts_with("*.") {
        return Err(Refusal::new(format!(
            "`{quoted}` has a wildcard, which only changes of DNS can prove: name each host"
        )));
    }
    if let Some(host) = text.split_once("://").and_then(|(_, rest)| rest.split(['/', ':']).next()) {
        return Err(Refusal::new(format!("`{quoted}` is a URL, not a name")).meant(host));
    }
    if let Some(name) = name.strip_suffix('.').filter(|name| !name.is_empty()) {
        return Err(Refusal::new(format!("`{quoted}` ends with a dot")).meant(name));
    }
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Err(Refusal::new(format!(
            "`{quoted}` is an address, and the certificate is for names that lead to it"
        )));
    }
    if !text.is_ascii() {
        return Err(Refusal::new(format!("`{quoted}` is not as DNS has it: write its ASCII form (xn--...)")));
    }
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(Refusal::new(format!("`{quoted}` is no DNS name")));
    }
    Ok(name)
}

/// A mail address without a name around it; none where it is empty.
pub(crate) fn contact(text: &str) -> Result<Option<String>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let refusal = Refusal::new(format!("`{}` is no mail address", shown(text)));
    if let Some(address) = text.strip_prefix("mailto:") {
        return Err(refusal.meant(address));
    }
    // One address, without the header fields that a `mailto:` URL may have (RFC 8555 §7.3).
    let is_plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"@,?&<>".contains(&b))
    };
    match text.split_once('@') {
        Some((name, host)) if is_plain(name) && is_plain(host) => Ok(Some(text.to_owned())),
        _ => Err(refusal),
    }
}

/// The URL of a directory.
pub(crate) fn directory(text: &str) -> Result<WebUrl, Refusal> {
    let url: WebUrl = text.parse().map_err(|why: &str| Refusal::new(why).meant(DIRECTORY))?;
    let plain = url.expose();
    if plain.scheme() != "https" {
        return Err(Refusal::new("ACME is spoken over https:// only (RFC 8555 §6.1)"));
    }
    if !plain.username().is_empty() || plain.password().is_some() || plain.query().is_some() {
        return Err(Refusal::new("a directory's URL has no user, no password and no query"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_a_certificate_can_be_for() {
        for (text, name) in [
            ("tv.example.com", "tv.example.com"),
            ("TV", "tv"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(domain(text).as_deref(), Ok(name));
        }
        let long = format!("{}.example", "a".repeat(64));
        for (text, why, meant) in [
            ("", "is no DNS name", None),
            ("*.example.com", "wildcard", None),
            ("https://tv.example.com:8889/demo/", "is a URL", Some("tv.example.com")),
            ("tv.example.com.", "ends with a dot", Some("tv.example.com")),
            ("tv.example.com:443", "is no DNS name", None),
            ("192.0.2.7", "is an address", None),
            ("2001:db8::7", "is an address", None),
            ("bücher.example", "xn--", None),
            ("tv..example", "is no DNS name", None),
            ("-tv.example", "is no DNS name", None),
            ("t_v.example", "is no DNS name", None),
            (&long, "is no DNS name", None),
        ] {
            let refusal = domain(text).expect_err(text);
            assert!(refusal.why.contains(why), "{text}: {}", refusal.why);
            assert_eq!(refusal.meant.as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn a_contact_is_one_mail_address() {
        assert_eq!(contact(""), Ok(None));
        assert_eq!(contact("ops@example.com"), Ok(Some("ops@example.com".to_owned())));
        let meant = contact("mailto:ops@example.com").expect_err("a URL").meant;
        assert_eq!(meant.as_deref(), Some("ops@example.com"));
        for text in
            ["ops", "@example.com", "ops@", "a@b@c", "Ops <ops@example.com>", "a@b,c@d", "a@b?subject=x"]
        {
            assert!(contact(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_directory_is_asked_over_https_and_has_nothing_secret_in_its_url() {
        assert!(directory("https://ca.lan:9000/acme/acme/directory").is_ok());
        for text in [
            "",
            "ca.lan",
            "http://ca.lan/directory",
            "https://ann:canary@ca.lan/",
            "https://ca.lan/?key=canary",
        ] {
            let refusal = directory(text).expect_err(text);
            assert!(!refusal.why.contains("canary"), "{}", refusal.why);
        }
    }
}
