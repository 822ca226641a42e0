//! Keys that are not here on purpose, though they are looked for: what to do instead.

/// Beginnings of paths, and the sentence behind "`KEY` is no key: ".
const ABSENT: [(&str, &str); 6] = [
    (
        "admin.tls.acme",
        "ACME makes the certificate of the public listener only, because its proof needs a port that the ACME server reaches; \
         name files in admin.tls.certificate and admin.tls.key",
    ),
    ("metrics.tls", "this listener is plain HTTP: metrics are on admin.listen, too, which has admin.tls"),
    ("pprof.tls", "this listener is plain HTTP: profiles are on admin.listen, too, which has admin.tls"),
    ("http.tls.acme.challenge", CHALLENGE),
    ("http.tls.acme.http", CHALLENGE),
    ("http.tls.acme.dns", CHALLENGE),
];

const CHALLENGE: &str = "there is one proof, TLS-ALPN-01 (RFC 8737), on port 443 of http.listen: HTTP-01 and DNS-01 are not \
                         offered; where port 443 cannot be reached let certbot make the files, and name them in \
                         http.tls.certificate and http.tls.key";

/// Why a path, or the name of a variable, leads nowhere; nothing if it is none of these.
pub(crate) fn reason(name: &str) -> Option<&'static str> {
    let folded = fold(name.strip_prefix("SLUICE_").unwrap_or(name));
    ABSENT.iter().find(|(path, _)| folded.starts_with(&fold(path))).map(|(_, reason)| *reason)
}

fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace(['.', '-'], "_")
}
