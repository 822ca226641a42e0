//! Credentials: answers to `WWW-Authenticate`, by Digest (RFC 7616, RFC 2069) and Basic (RFC 7617).
//!
//! Owns the challenge that is in force, and what a camera was told with it. Never sends a password in clear (Basic)
//! to a camera that takes Digest, nor before it is asked for.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use sluice_config::Credentials;

use super::message::{Headers, Method};

/// Challenges of one answer that are looked at.
const MAX_CHALLENGES: usize = 8;

/// Characters of the name of a scheme; known ones have up to 13 (IANA, HTTP authentication schemes).
const MAX_SCHEME: usize = 16;

/// Fresh challenges to one request that are answered. Two, because a camera may refuse a nonce that it had just
/// given out; more, and a wrong password locks the user out sooner.
const MAX_FRESH: u8 = 2;

/// The same where the camera says that only its nonce had expired, which harms nobody.
const MAX_STALE: u8 = 4;

/// One way of asking for credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Challenge {
    Basic,
    Digest(Digest),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Digest {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    algorithm: Algorithm,
    /// As it was named, to be repeated.
    algorithm_name: Option<String>,
    session: bool,
    /// The `qop` that is taken, if one is offered: `auth`, or `auth-int` where that is all.
    qop: Option<&'static str>,
    stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512_256,
}

/// What to do about a 401.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask again, with what `authorize` says now.
    Again,
    /// The camera wants credentials and there are none.
    NoCredentials,
    /// It refused them.
    Wrong,
    /// It says that its challenge had expired, each time.
    Expired,
    /// It asks for the password in clear, and once took Digest.
    Downgrade,
    /// Nothing that we know: the schemes it names.
    Unknown(String),
}

/// How a camera asks who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignIn {
    /// Not at all.
    #[default]
    None,
    /// Basic: the password goes over the line in clear.
    Basic,
    /// Digest, by this hash.
    Digest(&'static str),
    /// In a way that is not known here.
    Unknown,
}

/// What was sent with a request, to judge the answer by.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    /// Challenges to this request that were answered.
    answers: u8,
    /// With which nonce; empty for Basic.
    nonce: Option<Vec<u8>>,
}

impl Sent {
    pub(super) fn answers_challenge(&self) -> bool {
        self.answers > 0
    }
}

/// The credentials of a camera, with what it wants of them.
#[derive(Default)]
pub(super) struct Authenticator {
    credentials: Option<Credentials>,
    challenge: Option<Challenge>,
    /// The hash by which the camera refused what it was told, and offered a weaker one.
    refused: Option<Algorithm>,
    /// The camera takes Digest: a later request for Basic is somebody else's, or a fault.
    digest_seen: bool,
    /// What it asked for last.
    asked: SignIn,
    count: u32,
    /// Makes client nonces differ. Random, given by the shell.
    seed: u64,
}

impl Authenticator {
    pub(super) fn new(credentials: Option<Credentials>, seed: u64) -> Authenticator {
        Authenticator { credentials, seed, ..Authenticator::default() }
    }

    /// Before another attempt: a Digest challenge is remembered, which saves a refusal; for Basic the camera has to
    /// ask again.
    pub(super) fn renew(&mut self) {
        if self.challenge == Some(Challenge::Basic) {
            self.challenge = None;
        }
    }

    /// What the camera asked for last.
    pub(super) fn asked(&self) -> SignIn {
        self.asked
    }

    /// The value of `Authorization`, if a challenge is in force.
    pub(super) fn authorize(&mut self, method: Method, uri: &str, sent: &mut Sent) -> Option<Vec<u8>> {
        let credentials = self.credentials.as_ref()?;
        match self.challenge.as_ref()? {
            Challenge::Basic => {
                sent.nonce = Some(Vec::new());
                let pair = format!("{}:{}", credentials.username, credentials.password.expose());
                Some(format!("Basic {}", STANDARD.encode(pair)).into_bytes())
            }
            Challenge::Digest(digest) => {
                sent.nonce = Some(digest.nonce.clone());
                self.count = self.count.wrapping_add(1);
                let cnonce = format!("{:016x}", self.seed ^ u64::from(self.count) << 32);
                Some(digest.answer(credentials, method, uri, self.count, &cnonce))
            }
        }
    }

    /// Judges a 401 to a request that went out with `sent`.
    pub(super) fn handle_refusal(&mut self, headers: &Headers, sent: &mut Sent) -> Verdict {
        let mut names = String::new();
        let (mut digest, mut basic) = (None::<Digest>, false);
        let used = match &self.challenge {
            Some(Challenge::Digest(digest)) if sent.nonce.is_some() => Some(digest.algorithm),
            _ => None,
        };
        let mut weaker = None::<Digest>;
        for challenge in headers.all("www-authenticate").flat_map(read_challenges).take(MAX_CHALLENGES) {
            match challenge.scheme.to_ascii_lowercase().as_str() {
                "digest" => match Digest::new(&challenge) {
                    Some(new) if self.refused.is_some_and(|refused| new.algorithm >= refused) => {}
                    Some(new) if used.is_some_and(|used| new.algorithm < used) => weaker = Some(new),
                    Some(new) if digest.as_ref().is_none_or(|best| new.algorithm > best.algorithm) => {
                        digest = Some(new);
                    }
                    Some(_) => {}
                    None if challenge.get("nonce").is_none() => names += " Digest without a nonce",
                    None => names += " Digest with an unknown algorithm",
                },
                "basic" => basic = true,
                other => names += &format!(" {}", scheme_name(other)),
            }
        }
        let digest = digest.or_else(|| weaker.take());
        self.asked = match &digest {
            Some(digest) => SignIn::Digest(digest.algorithm.name()),
            None if basic => SignIn::Basic,
            // One that only says no, after it has asked.
            None if sent.nonce.is_some() => self.asked,
            None => SignIn::Unknown,
        };
        if self.credentials.is_none() {
            return Verdict::NoCredentials;
        }
        let fresh = match digest {
            Some(digest) => Challenge::Digest(digest),
            None if basic && self.digest_seen => return Verdict::Downgrade,
            None if basic => Challenge::Basic,
            // A camera that forgets its challenge the second time refuses what it was told.
            None if sent.nonce.is_some() => return Verdict::Wrong,
            None => return Verdict::Unknown(names.trim().to_owned()),
        };
        let (nonce, stale) = match &fresh {
            Challenge::Basic => (&[][..], false),
            Challenge::Digest(digest) => (&digest.nonce[..], digest.stale),
        };
        // Cameras that offer SHA-256 and know their password's MD5 only are not rare.
        if let (Some(used), Some(weaker), Challenge::Digest(Digest { stale: false, .. })) =
            (used, weaker, &fresh)
            && sent.answers > 0
        {
            self.refused = Some(used);
            sent.answers += 1;
            self.asked = SignIn::Digest(weaker.algorithm.name());
            self.challenge = Some(Challenge::Digest(weaker));
            self.count = 0;
            return Verdict::Again;
        }
        // One remembered from before may be asked for again by a camera that wants to challenge first.
        if sent.answers > 0 && sent.nonce.as_deref() == Some(nonce) && !stale {
            self.refused = None;
            return Verdict::Wrong;
        }
        if sent.answers >= if stale { MAX_STALE } else { MAX_FRESH } {
            self.refused = None;
            return if stale { Verdict::Expired } else { Verdict::Wrong };
        }
        sent.answers += 1;
        self.digest_seen |= matches!(fresh, Challenge::Digest(_));
        self.challenge = Some(fresh);
        self.count = 0;
        Verdict::Again
    }
}

impl Digest {
    fn new(challenge: &Parameters) -> Option<Digest> {
        let get = |name: &str| challenge.get(name);
        let name = get("algorithm").map(|value| String::from_utf8_lossy(value).into_owned());
        let upper = name.as_deref().unwrap_or("MD5").trim().to_ascii_uppercase();
        let (plain, session) = upper.strip_suffix("-SESS").map_or((&upper[..], false), |plain| (plain, true));
        let algorithm = match plain {
            "MD5" | "" => Algorithm::Md5,
            "SHA-256" | "SHA256" => Algorithm::Sha256,
            "SHA-512-256" => Algorithm::Sha512_256,
            _ => return None,
        };
        let qop = get("qop").map(String::from_utf8_lossy);
        let offers = |wanted: &str| {
            qop.as_ref().is_some_and(|qop| qop.split(',').any(|one| one.trim().eq_ignore_ascii_case(wanted)))
        };
        Some(Digest {
            realm: get("realm").unwrap_or_default().to_vec(),
            nonce: get("nonce")?.to_vec(),
            opaque: get("opaque").map(<[u8]>::to_vec),
            algorithm,
            algorithm_name: name,
            session,
            qop: ["auth", "auth-int"].into_iter().find(|qop| offers(qop)),
            stale: get("stale").is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"true")),
        })
    }

    fn answer(&self, who: &Credentials, method: Method, uri: &str, count: u32, cnonce: &str) -> Vec<u8> {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(&parts.join(&b':'));
        let mut secret = hash(&[who.username.as_bytes(), &self.realm, who.password.expose().as_bytes()]);
        if self.session {
            secret = hash(&[secret.as_bytes(), &self.nonce, cnonce.as_bytes()]);
        }
        let mut asked = vec![method.as_str().as_bytes(), uri.as_bytes()];
        // Of the body too (RFC 7616 §3.4.3): no request of ours has one.
        let nothing = self.algorithm.hash(b"");
        if self.qop == Some("auth-int") {
            asked.push(nothing.as_bytes());
        }
        let asked = hash(&asked);
        let count = format!("{count:08x}");
        let response = if let Some(qop) = self.qop {
            hash(&[
                secret.as_bytes(),
                &self.nonce,
                count.as_bytes(),
                cnonce.as_bytes(),
                qop.as_bytes(),
                asked.as_bytes(),
            ])
        } else {
            hash(&[secret.as_bytes(), &self.nonce, asked.as_bytes()])
        };
        let mut value = b"Digest ".to_vec();
        let mut quoted = |name: &str, text: &[u8]| {
            value.extend_from_slice(format!("{name}=\"").as_bytes());
            for byte in text {
                if matches!(byte, b'"' | b'\\') {
                    value.push(b'\\');
                }
                value.push(*byte);
            }
            value.extend_from_slice(b"\", ");
        };
        quoted("username", who.username.as_bytes());
        quoted("realm", &self.realm);
        quoted("nonce", &self.nonce);
        quoted("uri", uri.as_bytes());
        quoted("response", response.as_bytes());
        if let Some(opaque) = &self.opaque {
            quoted("opaque", opaque);
        }
        if self.qop.is_some() || self.session {
            quoted("cnonce", cnonce.as_bytes());
        }
        value.truncate(value.len() - 2);
        if let Some(name) = &self.algorithm_name {
            value.extend_from_slice(format!(", algorithm={}", printable(name)).as_bytes());
        }
        if let Some(qop) = self.qop {
            value.extend_from_slice(format!(", qop={qop}, nc={count}").as_bytes());
        }
        value
    }
}

/// A scheme in a sentence. What is none, a part of a challenge that cannot be read, may be anything.
fn scheme_name(name: &str) -> &str {
    let is_name = name.len() <= MAX_SCHEME && name.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
    if is_name { name } else { "something" }
}

fn printable(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512_256 => "SHA-512-256",
        }
    }

    fn hash(self, bytes: &[u8]) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Algorithm::Md5 => hex(&Md5::digest(bytes)),
            Algorithm::Sha256 => hex(digest::digest(&digest::SHA256, bytes).as_ref()),
            Algorithm::Sha512_256 => hex(digest::digest(&digest::SHA512_256, bytes).as_ref()),
        }
    }
}

/// A scheme and its parameters, as bytes: realms come in every encoding, and go into the hash as they are.
#[derive(Debug, PartialEq, Eq)]
struct Parameters {
    scheme: String,
    pairs: Vec<(String, Vec<u8>)>,
}

impl Parameters {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.pairs.iter().find(|(this, _)| this == name).map(|(_, value)| value.as_slice())
    }
}

/// Reads `Digest realm="x", nonce="y", Basic realm="z"`: a word without `=` begins a scheme.
fn read_challenges(mut text: &[u8]) -> Vec<Parameters> {
    let mut challenges: Vec<Parameters> = Vec::new();
    loop {
        let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b',' | b';'));
        let Some(start) = start else { return challenges };
        text = &text[start..];
        let end =
            text.iter().position(|byte| matches!(byte, b' ' | b'\t' | b',' | b'=')).unwrap_or(text.len());
        let name = String::from_utf8_lossy(&text[..end]).into_owned();
        let rest = text[end..].trim_ascii_start();
        let Some(value) = rest.strip_prefix(b"=") else {
            text = rest;
            challenges.push(Parameters { scheme: name, pairs: Vec::new() });
            continue;
        };
        let (value, rest) = read_value(value.trim_ascii_start());
        text = rest;
        if let Some(challenge) = challenges.last_mut() {
            challenge.pairs.push((name.to_ascii_lowercase(), value));
        }
    }
}

/// A quoted string or a word, and what follows.
fn read_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| matches!(byte, b',' | b';')).unwrap_or(text.len());
        // `realm=IP Camera nonce=1`: blanks belong to a value, but not in front of the next parameter.
        let blanks = (0..end).filter(|at| matches!(text[*at], b' ' | b'\t'));
        let next = blanks.into_iter().find(|at| {
            let word =
                text[at + 1..end].split(|byte| matches!(byte, b' ' | b'\t')).next().unwrap_or_default();
            word.contains(&b'=')
        });
        let (value, rest) = text.split_at(next.unwrap_or(end));
        return (value.trim_ascii_end().to_vec(), rest);
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return (value, &quoted[at + 1..]),
            // `realm="IPCAM\", nonce="1"`: the end of a value and no quote in it, if a parameter follows.
            b'\\' if quoted[at + 1..].starts_with(b"\"") && ends_value(&quoted[at + 2..]) => {
                value.push(b'\\');
            }
            // `realm="IP\Cam"`: nobody escapes a letter, and some forget to escape a backslash.
            b'\\' if quoted.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) => value.push(b'\\'),
            b'\\' => value.extend(bytes.next().map(|(_, byte)| *byte)),
            byte => value.push(*byte),
        }
    }
    (value, &[])
}

/// Whether a quoted value ends before `rest`: nothing follows, or another parameter.
fn ends_value(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii_start();
    let Some(rest) = rest.strip_prefix(b",") else { return rest.is_empty() };
    let name = rest.trim_ascii_start();
    let end = name.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-').unwrap_or(0);
    end > 0 && name[end..].trim_ascii_start().starts_with(b"=")
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
