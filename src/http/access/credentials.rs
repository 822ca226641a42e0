//! What a request says about who sends it: `Authorization` (RFC 7617, RFC 6750), and `token` in its query.
//!
//! Owns the reading. Nothing here is believed yet, and nothing prints.

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sluice_config::Secret;

use super::token;

/// Bytes of `Authorization` that are read: the largest tokens, with all groups of somebody in them, have a few KiB. More has
/// more of what strangers send decoded.
const LONGEST: usize = 8_192;

/// Base64 of others, too, who leave out its `=` or write some too many.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    None,
    /// A name and a password.
    Password {
        /// The name, as it was sent.
        name: String,
        /// The password.
        password: Secret,
    },
    /// A token of our own making, to be checked.
    Token(Secret),
    /// A token of somebody else's.
    Bearer(Secret),
    /// Something that cannot be read.
    Unreadable(Fault),
}

/// Why credentials cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// They are longer than [`LONGEST`].
    Long,
    /// Basic that is no base64, no UTF-8, or has no colon.
    Basic,
}

impl Fault {
    /// For an operator.
    pub fn why(self) -> &'static str {
        match self {
            Fault::Long => "Authorization is too long",
            Fault::Basic => "Authorization: Basic cannot be read",
        }
    }

    /// What a client is answered.
    pub fn status(self) -> StatusCode {
        match self {
            Fault::Long => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Fault::Basic => StatusCode::UNAUTHORIZED,
        }
    }

    /// What it can do about it.
    pub fn way_out(self) -> String {
        match self {
            Fault::Long => {
                format!("Authorization has {LONGEST} bytes at the most: a token has to be shorter")
            }
            Fault::Basic => {
                "what Authorization says cannot be read: behind Basic stands base64 of NAME:PASSWORD in UTF-8"
                    .to_owned()
            }
        }
    }
}

impl Credentials {
    /// Those of a request with these headers and that query.
    pub fn of(headers: &HeaderMap, query: Option<&str>) -> Credentials {
        let header = headers.get(header::AUTHORIZATION);
        if header.is_some_and(|said| said.len() > LONGEST) {
            return Credentials::Unreadable(Fault::Long);
        }
        let header = header.and_then(|value| value.to_str().ok());
        if let Some(said) = header.and_then(|said| said.split_once(' ')) {
            let (scheme, said) = (said.0, said.1.trim());
            if scheme.eq_ignore_ascii_case("basic") {
                return basic(said).unwrap_or(Credentials::Unreadable(Fault::Basic));
            }
            if scheme.eq_ignore_ascii_case("bearer") && !said.is_empty() {
                return bearer(said);
            }
        }
        // What another server signed, and is told of it, may stand beside it by the same name.
        let ours = pairs(query).find(|(name, token)| name == "token" && token::is_ours(token));
        match ours {
            Some((_, token)) => Credentials::Token(Secret::from(&*token)),
            None => Credentials::None,
        }
    }

    /// Whether there is anything in them that could prove something.
    pub fn say_something(&self) -> bool {
        !matches!(self, Credentials::None | Credentials::Unreadable(_))
    }

    /// Whether a browser that is asked for a name and a password could help: it has sent neither a token, which only
    /// a page or a program sends, nor was one in the address.
    pub fn may_be_asked(&self) -> bool {
        matches!(
            self,
            Credentials::None | Credentials::Password { .. } | Credentials::Unreadable(Fault::Basic)
        )
    }

    /// The name and the password that a server of MediaMTX's kind is told, and the token.
    pub fn parts(&self) -> (&str, &str, &str) {
        match self {
            Credentials::None | Credentials::Unreadable(_) => ("", "", ""),
            Credentials::Password { name, password } => (name, password.expose(), ""),
            Credentials::Token(token) | Credentials::Bearer(token) => ("", "", token.expose()),
        }
    }
}

/// The token in a query, of whatever kind, as a server of MediaMTX's kind is told it (`token` or `jwt`); empty if there is
/// none.
pub fn token_of(query: Option<&str>) -> String {
    let named = |name: &str| pairs(query).find(|(key, _)| key == name).map(|(_, token)| token.into_owned());
    named("token").or_else(|| named("jwt")).unwrap_or_default()
}

fn pairs(query: Option<&str>) -> url::form_urlencoded::Parse<'_> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
}

fn basic(said: &str) -> Option<Credentials> {
    let decoded = String::from_utf8(LENIENT.decode(said).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    // What only knows names and passwords sends a token as one; some programs as the name, without a password.
    let token = if password.is_empty() { name } else { password };
    if token::is_ours(token) {
        return Some(Credentials::Token(Secret::from(token)));
    }
    Some(Credentials::Password { name: name.to_owned(), password: Secret::from(password) })
}

/// A token, or `name:password` of players that send nothing else (OBS, and scripts for MediaMTX).
fn bearer(said: &str) -> Credentials {
    match said.split_once(':') {
        _ if token::is_ours(said) => Credentials::Token(Secret::from(said)),
        Some((name, password)) => {
            Credentials::Password { name: name.to_owned(), password: Secret::from(password) }
        }
        None => Credentials::Bearer(Secret::from(said)),
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn of(authorization: &str, query: &str) -> Credentials {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(header::AUTHORIZATION, authorization.parse().expect("a value"));
        }
        Credentials::of(&headers, Some(query).filter(|query| !query.is_empty()))
    }

    fn password(name: &str, password: &str) -> Credentials {
        Credentials::Password { name: name.to_owned(), password: Secret::from(password) }
    }

    #[test]
    fn names_passwords_and_tokens_are_read_in_every_form_that_players_send() {
        let ours = "sluice_abc-DEF_1";
        let token = || Credentials::Token(Secret::from(ours));
        for (authorization, query, expected) in [
            ("", "", Credentials::None),
            ("Basic YW5uOmE6Yg==", "", password("ann", "a:b")),
            ("basic YW5uOg==", "", password("ann", "")),
            // Without its padding, and with too much of it.
            ("Basic YW5uOg", "", password("ann", "")),
            ("Basic YW5uOmE6Yg", "", password("ann", "a:b")),
            ("Basic !", "", Credentials::Unreadable(Fault::Basic)),
            ("Basic YW5u", "", Credentials::Unreadable(Fault::Basic)),
            // As a browser of another age writes `\u{e4}`.
            (&format!("Basic {}", STANDARD.encode(b"ann:\xe4")), "", Credentials::Unreadable(Fault::Basic)),
            ("Bearer ann:secret", "", password("ann", "secret")),
            ("Bearer a.b.c", "", Credentials::Bearer(Secret::from("a.b.c"))),
            ("bearer  a.b.c ", "", Credentials::Bearer(Secret::from("a.b.c"))),
            ("Bearer", "", Credentials::None),
            ("Digest username=\"ann\"", "", Credentials::None),
            (&format!("Bearer {ours}"), "", token()),
            (&format!("Basic {}", STANDARD.encode(format!("x:{ours}"))), "", token()),
            (&format!("Basic {}", STANDARD.encode(format!("{ours}:"))), "", token()),
            ("", &format!("muted=1&token={ours}"), token()),
            ("", "token=%73luice_abc-DEF%5F1", token()),
            ("", &format!("token=a.b.c&token={ours}"), token()),
            ("", &format!("token={ours}&token=a.b.c"), token()),
            // What another server signed has no place in an address.
            ("", "token=a.b.c", Credentials::None),
            // What was sent on purpose comes first.
            ("Bearer a.b.c", &format!("token={ours}"), Credentials::Bearer(Secret::from("a.b.c"))),
            (&format!("Bearer {}", "x".repeat(9_000)), "", Credentials::Unreadable(Fault::Long)),
        ] {
            assert_eq!(of(authorization, query), expected, "{authorization:.40} {query}");
        }
    }

    #[test]
    fn nothing_of_them_prints() {
        let said = format!("{:?} {:?}", of("Bearer ann:hunter2", ""), of("Bearer hunter2", ""));
        assert!(!said.contains("hunter2"), "{said}");
    }
}
