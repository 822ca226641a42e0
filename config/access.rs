//! `[access]`: who may do what, as the file says it. It holds values only; what they mean for a request is decided by
//! whoever is asked.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use crate::{Network, Password, Pattern, WebUrl, redact::shown};

/// The longest name of a user, in bytes.
const NAME_MAX: usize = 64;

/// `[access]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    /// Who may watch without a name.
    pub read: Vec<Network>,
    /// `[access.jwt]`.
    pub jwt: Jwt,
    /// `[access.hook]`.
    pub hook: Hook,
    /// `[access.users.NAME]`.
    pub users: BTreeMap<UserName, User>,
}

/// `[access.users.NAME]`: somebody, or whoever comes from some addresses. Has a password or addresses, or both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// What it proves itself with; without one the address is the proof.
    pub password: Option<Password>,
    /// Where it may come from; anywhere if it is empty.
    pub from: Vec<Network>,
    /// The streams that it may watch.
    pub read: Vec<Pattern>,
    /// The streams that it may send.
    pub publish: Vec<Pattern>,
    /// The operator's page and API.
    pub api: bool,
    /// `/metrics`.
    pub metrics: bool,
    /// Profiles.
    pub pprof: bool,
}

/// `[access.jwt]`: signed tokens (RFC 7519).
#[derive(Clone, Debug, PartialEq)]
pub struct Jwt {
    /// Where the keys are; `None`: no such token is taken.
    pub keys: Option<KeySource>,
    /// The algorithm of the keys; `None`: as the set of keys says of each.
    pub algorithm: Option<JwtAlgorithm>,
    /// What `iss` must be; empty: it is not looked at.
    pub issuer: String,
    /// What `aud` must be or hold; empty: it is not looked at.
    pub audience: String,
    /// The claim that says what its bearer may do.
    pub claim: String,
    /// What a token may give.
    pub actions: Vec<Action>,
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            keys: None,
            algorithm: None,
            issuer: String::new(),
            audience: String::new(),
            claim: "sluice".to_owned(),
            actions: vec![Action::Read, Action::Publish],
        }
    }
}

/// Where keys of tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A PEM file with one public key, or a JSON Web Key Set (RFC 7517).
    File(PathBuf),
    /// A JSON Web Key Set.
    Url(WebUrl),
}

/// Signatures that are known (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the standard")]
pub enum JwtAlgorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl JwtAlgorithm {
    /// All, in the order of [`JwtAlgorithm::NAMES`].
    pub(crate) const ALL: [Self; 12] = [
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];
}

/// `[access.hook]`: a server that is asked about each.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    /// Where it is; `None`: nobody is asked.
    pub url: Option<WebUrl>,
    /// For its whole answer.
    pub timeout: Duration,
    /// How long an answer holds for the same question.
    pub cache: Duration,
    /// Questions under way at once.
    pub concurrency: u32,
    /// What it is asked about.
    pub actions: Vec<Action>,
}

impl Default for Hook {
    fn default() -> Self {
        Self {
            url: None,
            timeout: Duration::from_secs(2),
            cache: Duration::from_secs(10),
            concurrency: 32,
            actions: vec![Action::Read, Action::Publish],
        }
    }
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Watch a stream, and know that it is there.
    Read,
    /// Send a stream.
    Publish,
    /// The operator's page and API.
    Api,
    /// Scrape metrics.
    Metrics,
    /// Take profiles.
    Pprof,
}

impl Action {
    /// All, in order.
    pub const ALL: [Self; 5] = [Self::Read, Self::Publish, Self::Api, Self::Metrics, Self::Pprof];

    /// Its word, in the file and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Api => "api",
            Self::Metrics => "metrics",
            Self::Pprof => "pprof",
        }
    }

    /// Whether it is about one stream, and not about the server.
    pub const fn is_of_stream(self) -> bool {
        matches!(self, Self::Read | Self::Publish)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// 1 to 64 of `A-Z a-z 0-9 _ - . @ +`: what HTTP can send as a user name, and a log can show.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(Arc<str>);

impl UserName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for UserName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        const KNOWN: &str = "write 1 to 64 of A-Z a-z 0-9 _ - . @ +";
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '+');
        match name.chars().find(|c| !known(*c)) {
            Some(c) => Err(format!("the user name `{}` has a `{}`: {KNOWN}", shown(name), c.escape_debug())),
            None if name.is_empty() => Err(format!("a user's name is empty: {KNOWN}")),
            None if name.len() > NAME_MAX => {
                Err(format!("the user name `{}` has {} characters: {KNOWN}", shown(name), name.len()))
            }
            None => Ok(Self(name.into())),
        }
    }
}
