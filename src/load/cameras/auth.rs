//! Digest authentication as cameras do it (RFC 7616, in the form of RFC 2617 §3.2.2 without `qop`).
//!
//! Owns the credentials, the challenge and the judgement of an answer. Never offers Basic, which would send
//! the password. The `uri` of an answer is taken as it is and not compared with the request's: live555, and
//! so VLC, signs the URL of the camera whatever it asks for, and real cameras let that pass.

use std::fmt;
use std::str::FromStr;

use http_auth::ParamValue;
use md5::{Digest, Md5};
use rtsp_types::headers::AUTHORIZATION;
use rtsp_types::{Method, Request};

/// What the credentials are for, as players show it to their users.
const REALM: &str = "sluice-cameras";

/// A user name and a password, which cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl FromStr for Credentials {
    type Err = &'static str;

    /// Reads `user:password`. The password may hold colons and be empty.
    fn from_str(text: &str) -> Result<Credentials, &'static str> {
        match text.split_once(':') {
            // Another name could not simply be quoted in the header.
            Some((user, _))
                if user.is_empty()
                    || !user.bytes().all(|byte| (b' '..=b'~').contains(&byte))
                    || user.contains(['"', '\\']) =>
            {
                Err("the user name must be of plain ASCII, without quotation marks and backslashes")
            }
            Some((user, password)) => Ok(Credentials { user: user.into(), password: password.into() }),
            None => Err("write it as user:password"),
        }
    }
}

/// Lets through, on one connection, only requests that prove to know the credentials; all, if there are none.
#[derive(Debug)]
pub struct Guard {
    credentials: Option<Credentials>,
    /// What an answer has to be made with; made when it is first needed.
    nonce: Option<String>,
}

impl Guard {
    /// Of a new connection.
    pub fn new(credentials: Option<Credentials>) -> Guard {
        Guard { credentials, nonce: None }
    }

    /// Judges a request. An error is the `WWW-Authenticate` header to refuse it with; `random` gives numbers
    /// for that. OPTIONS needs no credentials: it says nothing of the camera.
    pub fn check(
        &mut self,
        request: &Request<Vec<u8>>,
        random: &mut impl FnMut() -> u64,
    ) -> Result<(), String> {
        let Some(credentials) = &self.credentials else { return Ok(()) };
        if *request.method() == Method::Options {
            return Ok(());
        }
        let header = request.header(&AUTHORIZATION).map(|value| value.as_str());
        let proof = header.and_then(|header| Proof::read(header, request.method(), credentials));
        let nonce = self.nonce.get_or_insert_with(|| format!("{:016x}{:016x}", random(), random()));
        match proof {
            Some(proof) if proof.nonce == *nonce => Ok(()),
            // The order is that of real cameras, the only one that live555 reads. `stale`: the credentials
            // were good, but for another connection; a player then tries again without asking its user.
            proof => {
                let stale = if proof.is_some() { "TRUE" } else { "FALSE" };
                Err(format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", stale={stale}"))
            }
        }
    }
}

/// An `Authorization` header made with the right credentials.
struct Proof {
    nonce: String,
}

impl Proof {
    /// Reads the header of a request with `method`; none if it does not prove anything.
    fn read(header: &str, method: &Method, credentials: &Credentials) -> Option<Proof> {
        // Credentials have the grammar of challenges (RFC 7235 §2.1).
        let challenges = http_auth::parse_challenges(header).ok()?;
        let [digest] = &challenges[..] else { return None };
        if !digest.scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let parameter = |name: &str| {
            let named = |(key, _): &&(&str, ParamValue<'_>)| key.eq_ignore_ascii_case(name);
            digest.params.iter().find(named).map(|(_, value)| value.to_unescaped())
        };
        // Neither was offered, but a client may name what it does anyway.
        if parameter("algorithm").is_some_and(|named| !named.eq_ignore_ascii_case("MD5"))
            || parameter("qop").is_some()
        {
            return None;
        }
        let (nonce, uri) = (parameter("nonce")?, parameter("uri")?);
        let secret = md5(&[&credentials.user, REALM, &credentials.password]);
        let expected = md5(&[&secret, &nonce, &md5(&[<&str>::from(method), &uri])]);
        let proven = parameter("username")? == credentials.user
            && parameter("realm")? == REALM
            && parameter("response")?.eq_ignore_ascii_case(&expected);
        proven.then_some(Proof { nonce })
    }
}

/// Hexadecimal digest of `parts` with colons between them: `KD` and `H` of RFC 2617 §3.2.1.
fn md5(parts: &[&str]) -> String {
    format!("{:x}", Md5::digest(parts.join(":")))
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
