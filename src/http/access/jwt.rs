//! Tokens that somebody else signed (JWT, RFC 7519): the keys, what a token must say, and what it gives.
//!
//! Owns the rules of RFC 8725: the algorithm belongs to the key and never comes from the token, `exp` must be there, and
//! times and names have their types. Where keys come from is `keys`' business.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{self, PublicEncryptingKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Header, Validation, decode, decode_header};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use sluice_config::{Action, Jwt, JwtAlgorithm, Pattern};

use super::rules::Streams;
use crate::http::json::Once;
use crate::session::right::KeyMark;

/// How far the clock of whoever signs may be from ours. More lets tokens live longer than they say.
const LEEWAY: Duration = Duration::from_secs(30);

/// Keys of a set that are taken. More make a token without a key id cost more signatures.
const KEYS_MAX: usize = 64;

/// What is wrong with a key that no signature can be checked with.
const UNUSABLE: &str = "no signature can be checked with this key: RSA takes 2048 to 8192 bits and an odd exponent from 3, \
                        and a point has to be on its curve";

/// Streams that one token may name.
const STREAMS_MAX: usize = 256;

/// The keys that tokens are checked with.
#[derive(Debug, Default)]
pub struct Keys {
    keys: Vec<Key>,
    /// Keys beside them that are for signatures and can check none.
    broken: usize,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
    mark: KeyMark,
}

/// What a set has of one key.
enum Read {
    /// It can check signatures.
    Good(Key),
    /// It is for signatures, and can check none.
    Broken,
    /// It is for something else, or of a kind that is not known.
    Other,
}

/// What a good token gives.
#[derive(Debug, PartialEq)]
pub struct Given {
    /// `sub`, if it says one.
    pub who: Option<String>,
    /// With which streams its bearer may do what was asked.
    pub streams: Streams,
    /// When it ends, leeway and all.
    pub until: SystemTime,
    /// Which key signed it.
    pub key: KeyMark,
}

/// Why a token gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It names a key that is not known.
    #[error("it is signed with a key that is not among those known")]
    UnknownKey,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Something else.
    #[error("{0}")]
    Wrong(&'static str),
}

/// Why keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The text is none of what is known.
    #[error("neither PEM of one public key nor a JSON Web Key Set")]
    Neither,
    /// PEM says no algorithm.
    #[error("a PEM file says nothing of the algorithm: set access.jwt.algorithm, as in \"RS256\"")]
    NoAlgorithm,
    /// A public key and a secret are different things.
    #[error("access.jwt.algorithm is not one of this key's kind")]
    Kind,
    /// A key in PEM that checks nothing.
    #[error("{UNUSABLE}")]
    Unusable,
    /// A set without a usable key.
    #[error("none of the {0} keys in the set can check a signature")]
    None(usize),
    /// Whoever has it can sign, and who only checks has no use for it.
    #[error(
        "it holds a private key, which only the server that signs should have: give the public one, as \
         `openssl pkey -in FILE -pubout` prints it"
    )]
    Private,
    /// A secret that can be guessed (RFC 7518 §3.2).
    #[error("a secret of {has} bytes is too short for {algorithm:?}, which takes {least} at least")]
    Short {
        /// Its bytes.
        has: usize,
        /// What it is for.
        algorithm: Algorithm,
        /// Bytes of its hash.
        least: usize,
    },
    /// Each is tried with a token that names none.
    #[error("the set has {0} keys, and {KEYS_MAX} are taken at most")]
    Many(usize),
    /// A set of secrets from another server.
    #[error("the set holds secrets alone, which are taken from files only")]
    Secrets,
}

/// The claims that are read beside those that the library checks, each of which is there once: whoever looks at a token before
/// us may see the other one (RFC 7519 §4).
struct Claims(Map<String, Value>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Claims, D::Error> {
        match Once::deserialize(deserializer)? {
            Once(Value::Object(claims)) => Ok(Claims(claims)),
            Once(_) => Err(D::Error::custom("claims are an object")),
        }
    }
}

/// Whether a text has the form of one: three parts.
pub fn is_one(text: &str) -> bool {
    text.split('.').count() == 3 && text.split('.').all(|part| !part.is_empty())
}

impl Keys {
    /// Keys of a file: PEM, or a set.
    ///
    /// # Errors
    ///
    /// [`KeysError`].
    pub fn of_file(text: &str, pinned: Option<JwtAlgorithm>) -> Result<Keys, KeysError> {
        if text.trim_start().starts_with("-----BEGIN") {
            // A library takes its public half for a key of another kind.
            if text.contains("PRIVATE KEY-----") {
                return Err(KeysError::Private);
            }
            let algorithm = known(pinned.ok_or(KeysError::NoAlgorithm)?);
            let pem = text.as_bytes();
            let key = match algorithm {
                Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return Err(KeysError::Kind),
                Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem),
                Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
                _ => DecodingKey::from_rsa_pem(pem),
            };
            let key = key.map_err(|_| KeysError::Kind)?;
            let key = Key::new(None, algorithm, key).ok_or(KeysError::Unusable)?;
            return Ok(Keys { keys: vec![key], broken: 0 });
        }
        Keys::of_set(text, pinned, true)
    }

    /// Keys of a set (RFC 7517 §5). Those that cannot check a signature are passed over; a secret among them, too, unless
    /// `secrets` are expected.
    ///
    /// # Errors
    ///
    /// [`KeysError`].
    pub fn of_set(text: &str, pinned: Option<JwtAlgorithm>, secrets: bool) -> Result<Keys, KeysError> {
        #[derive(Deserialize)]
        struct Loose {
            keys: Vec<Value>,
        }
        let Loose { keys } = serde_json::from_str(text).map_err(|_| KeysError::Neither)?;
        let all = keys.len();
        let is_secret = |key: &Value| key.get("kty").and_then(Value::as_str) == Some("oct");
        let hidden = !secrets && keys.iter().any(is_secret);
        if keys.iter().any(|key| !is_secret(key) && key.get("d").is_some()) {
            return Err(KeysError::Private);
        }
        let keys = keys.into_iter().filter(|key| secrets || !is_secret(key));
        let mut read = Keys::default();
        for key in keys {
            // One of a kind that is not known is no reason to refuse the others.
            let Ok(key) = serde_json::from_value(key) else { continue };
            match Key::of(&key, pinned)? {
                Read::Good(key) => read.keys.push(key),
                Read::Broken => read.broken += 1,
                Read::Other => {}
            }
        }
        if read.len() > KEYS_MAX {
            return Err(KeysError::Many(read.len()));
        }
        match (read.keys.is_empty(), hidden) {
            (false, _) => Ok(read),
            (true, true) => Err(KeysError::Secrets),
            (true, false) => Err(KeysError::None(all)),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// How many more are for signatures, and can check none.
    pub fn broken(&self) -> usize {
        self.broken
    }

    /// Whether that one is among them.
    pub fn have(&self, key: &KeyMark) -> bool {
        self.keys.iter().any(|own| own.mark == *key)
    }

    /// How many of them are not among `others`.
    pub fn beside(&self, others: &Keys) -> usize {
        self.keys.iter().filter(|key| !others.have(&key.mark)).count()
    }

    /// What `token` gives for `action`.
    ///
    /// # Errors
    ///
    /// [`JwtError`].
    pub fn check(&self, token: &str, rules: &Jwt, action: Action) -> Result<Given, JwtError> {
        let header = decode_header(token).map_err(|_| JwtError::Wrong("it is no JWT"))?;
        if header.crit.is_some() {
            return Err(JwtError::Wrong("it says that something must be understood that is not"));
        }
        let (Claims(claims), key) = self.verified(token, &header, rules)?;
        // The library takes a list of issuers, too.
        if !rules.issuer.is_empty() && !claims.get("iss").is_some_and(Value::is_string) {
            return Err(JwtError::Wrong("iss is missing, or is no text"));
        }
        if !rules.actions.contains(&action) {
            return Err(JwtError::Wrong("access.jwt.actions does not have what is asked"));
        }
        // The library has checked that it is a number, and not over.
        let exp = claims.get("exp").and_then(Value::as_f64);
        let exp = exp.and_then(|exp| Duration::try_from_secs_f64(exp).ok());
        let until = exp.and_then(|exp| UNIX_EPOCH.checked_add(exp.saturating_add(LEEWAY)));
        let until = until.ok_or(JwtError::Wrong("exp is no time"))?;
        let streams = claims.get(&rules.claim).map_or_else(Streams::none, |claim| given(claim, action));
        let who = claims.get("sub").and_then(Value::as_str).map(str::to_owned);
        Ok(Given { who, streams, until, key })
    }

    fn verified(&self, token: &str, header: &Header, rules: &Jwt) -> Result<(Claims, KeyMark), JwtError> {
        let named = |key: &&Key| header.kid.is_none() || key.id.is_none() || key.id == header.kid;
        let keys: Vec<&Key> = self.keys.iter().filter(named).collect();
        if keys.is_empty() {
            return Err(JwtError::UnknownKey);
        }
        let mut error = JwtError::Wrong("its algorithm is not that of the key");
        for key in keys.into_iter().filter(|key| key.algorithm == header.alg) {
            match decode::<Claims>(token, &key.key, &validation(key.algorithm, rules)) {
                Ok(decoded) => return Ok((decoded.claims, key.mark)),
                Err(why) => error = why_not(why.kind()),
            }
        }
        Err(error)
    }
}

impl Key {
    /// None if no signature could ever be checked with it.
    fn new(id: Option<String>, algorithm: Algorithm, key: DecodingKey) -> Option<Key> {
        let mut mark = Context::new(&SHA256);
        mark.update(format!("{algorithm:?}").as_bytes());
        let is_usable = match key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                [n, e].into_iter().for_each(|part| {
                    mark.update(&part.len().to_le_bytes());
                    mark.update(part);
                });
                is_rsa_of(n, e)
            }
            DecodingKeyKind::SecretOrDer(bytes) => {
                mark.update(bytes);
                match algorithm {
                    Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => true,
                    Algorithm::ES256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).is_ok(),
                    Algorithm::ES384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, bytes).is_ok(),
                    Algorithm::EdDSA => ParsedPublicKey::new(&ED25519, bytes).is_ok(),
                    _ => is_rsa(bytes),
                }
            }
        };
        let mut first = KeyMark::default();
        first.copy_from_slice(&mark.finish().as_ref()[..size_of::<KeyMark>()]);
        is_usable.then_some(Key { id, algorithm, key, mark: first })
    }

    /// One of a set.
    fn of(jwk: &Jwk, pinned: Option<JwtAlgorithm>) -> Result<Read, KeysError> {
        if jwk.common.public_key_use.as_ref().is_some_and(|used| *used != PublicKeyUse::Signature) {
            return Ok(Read::Other);
        }
        let algorithm = match (pinned, jwk.common.key_algorithm) {
            (Some(pinned), _) => Some(known(pinned)),
            // One for something else than signatures stays out.
            (None, Some(said)) => Algorithm::try_from(said).ok(),
            (None, None) => usual(&jwk.algorithm),
        };
        let Some(algorithm) = algorithm else { return Ok(Read::Other) };
        let key = DecodingKey::from_jwk(jwk).ok().filter(|key| key.family() == algorithm.family());
        let Some(key) = key else { return Ok(Read::Other) };
        let least = secret_bytes(algorithm);
        let has = key.try_get_as_bytes().map_or(0, <[u8]>::len);
        if has < least {
            return Err(KeysError::Short { has, algorithm, least });
        }
        Ok(Key::new(jwk.common.key_id.clone(), algorithm, key).map_or(Read::Broken, Read::Good))
    }
}

/// Whether an RSA key of a PEM file can check signatures: 2048 to 8192 bits, and an exponent that RSA can have.
fn is_rsa(der: &[u8]) -> bool {
    let x509 = rsa::PublicKey::from_der(der).ok().and_then(|key| key.as_der().ok());
    x509.is_some_and(|x509: PublicKeyX509Der<'_>| PublicEncryptingKey::from_der(x509.as_ref()).is_ok())
}

/// The same of one of a set.
fn is_rsa_of(n: &[u8], e: &[u8]) -> bool {
    // The library takes 1, which signs nothing, and large ones that cost a lot.
    let exponent = e.iter().skip_while(|byte| **byte == 0).fold(0_u64, |e, byte| e << 8 | u64::from(*byte));
    let is_exponent = e.len() <= size_of::<u64>() && exponent >= 3 && exponent % 2 == 1;
    let key: Result<PublicEncryptingKey, _> = rsa::PublicKeyComponents { n, e }.try_into();
    is_exponent && key.is_ok()
}

/// The least that a secret has for an algorithm; nothing if it takes none.
fn secret_bytes(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::HS256 => 32,
        Algorithm::HS384 => 48,
        Algorithm::HS512 => 64,
        _ => 0,
    }
}

/// The algorithm of a key that does not say it.
fn usual(key: &AlgorithmParameters) -> Option<Algorithm> {
    match key {
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        AlgorithmParameters::OctetKey(_) => Some(Algorithm::HS256),
        AlgorithmParameters::OctetKeyPair(_) => Some(Algorithm::EdDSA),
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => Some(Algorithm::ES256),
            EllipticCurve::P384 => Some(Algorithm::ES384),
            _ => None,
        },
        _ => None,
    }
}

fn validation(algorithm: Algorithm, rules: &Jwt) -> Validation {
    let mut validation = Validation::new(algorithm);
    let mut required = vec!["exp"];
    validation.leeway = LEEWAY.as_secs();
    validation.validate_nbf = true;
    validation.validate_aud = !rules.audience.is_empty();
    if validation.validate_aud {
        validation.set_audience(&[&rules.audience]);
        required.push("aud");
    }
    if !rules.issuer.is_empty() {
        validation.set_issuer(&[&rules.issuer]);
        required.push("iss");
    }
    validation.set_required_spec_claims(&required);
    validation
}

fn why_not(kind: &ErrorKind) -> JwtError {
    JwtError::Wrong(match kind {
        ErrorKind::ExpiredSignature => return JwtError::Expired,
        ErrorKind::ImmatureSignature => "its time has not come (nbf)",
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::InvalidAudience => "it is for somebody else (aud)",
        ErrorKind::InvalidIssuer => "it is of somebody else (iss)",
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "exp" => "exp is missing, or is no number",
            "aud" => "aud is missing",
            "iss" => "iss is missing, or is no text",
            _ => "a claim is missing",
        },
        ErrorKind::InvalidClaimFormat(_) => "a time in it is no number",
        _ => "it cannot be read",
    })
}

/// With which streams a claim lets its bearer do `action`: of `{"read": ["gate"], "api": true}`, of MediaMTX's
/// `[{"action": "read", "path": "gate"}]`, or of the text of either.
fn given(claim: &Value, action: Action) -> Streams {
    match claim {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(claim @ (Value::Array(_) | Value::Object(_))) => given(&claim, action),
            _ => Streams::none(),
        },
        Value::Object(claim) => match claim.get(action.name()) {
            Some(Value::Array(streams)) if action.is_of_stream() => {
                patterns(streams.iter().filter_map(Value::as_str).map(str::to_owned))
            }
            Some(Value::Bool(may)) if !action.is_of_stream() => Streams::all_if(*may),
            _ => Streams::none(),
        },
        Value::Array(permissions) => {
            let of_action = permissions
                .iter()
                .filter(|one| one.get("action").and_then(Value::as_str) == Some(action.name()));
            let paths = of_action.filter_map(|one| match one.get("path") {
                // Without a path it is about every stream.
                None => Some("*"),
                Some(Value::String(path)) => Some(if path.is_empty() { "*" } else { path }),
                // Whatever that names, it names something.
                Some(_) => None,
            });
            let paths = paths.map(str::to_owned);
            match action.is_of_stream() {
                true => patterns(paths),
                false => Streams::all_if(paths.count() > 0),
            }
        }
        _ => Streams::none(),
    }
}

fn patterns(texts: impl Iterator<Item = String>) -> Streams {
    let patterns: Vec<Pattern> = texts.take(STREAMS_MAX).filter_map(|text| text.parse().ok()).collect();
    Streams::Some(patterns.into())
}

fn known(algorithm: JwtAlgorithm) -> Algorithm {
    match algorithm {
        JwtAlgorithm::HS256 => Algorithm::HS256,
        JwtAlgorithm::HS384 => Algorithm::HS384,
        JwtAlgorithm::HS512 => Algorithm::HS512,
        JwtAlgorithm::RS256 => Algorithm::RS256,
        JwtAlgorithm::RS384 => Algorithm::RS384,
        JwtAlgorithm::RS512 => Algorithm::RS512,
        JwtAlgorithm::PS256 => Algorithm::PS256,
        JwtAlgorithm::PS384 => Algorithm::PS384,
        JwtAlgorithm::PS512 => Algorithm::PS512,
        JwtAlgorithm::ES256 => Algorithm::ES256,
        JwtAlgorithm::ES384 => Algorithm::ES384,
        JwtAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
