//! A password as the configuration has it: as a hash that only proves one, or as the text itself. It says what the forms
//! are and what may be written; whether somebody knows the password is not decided here.

use std::fmt;

use argon2::{Params, PasswordHash};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{Secret, value::Refusal};

/// KiB of memory that one hash may ask for. More lets one request take more of the machine.
const MEMORY_MAX: u32 = 256 * 1_024;

/// Passes over it.
const PASSES_MAX: u32 = 20;

/// Threads that it is made for.
const LANES_MAX: u32 = 16;

/// What a user's password is checked against. Prints as its form alone.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// Argon2 (RFC 9106), as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`.
    Argon2(Secret),
    /// SHA-256 without salt, from a file of MediaMTX.
    Sha256([u8; 32]),
    /// The text itself.
    Plain(Secret),
}

impl Password {
    /// Reads what stands in the file.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        if let Some(digest) = text.strip_prefix("sha256:") {
            let digest = STANDARD.decode(digest).ok().and_then(|bytes| bytes.try_into().ok());
            return digest
                .map(Self::Sha256)
                .ok_or_else(|| Refusal::new("what follows `sha256:` is not the base64 of 32 bytes"));
        }
        let hash = text.strip_prefix("argon2:").unwrap_or(text);
        if hash.starts_with("$argon2") {
            check(hash)?;
            return Ok(Self::Argon2(Secret::from(hash)));
        }
        if hash.len() < text.len() || text.starts_with('$') {
            return Err(Refusal::new(
                "this hash is not of a kind that is known: `sluice hash` makes one that begins with $argon2id$",
            ));
        }
        match text {
            "" => Err(Refusal::new(
                "a password is empty: leave the key out, and name addresses in `from`, for a user without one",
            )),
            text => Ok(Self::Plain(Secret::from(text))),
        }
    }

    /// What it is kept as: `argon2`, `sha256`, `plain text`.
    pub fn form(&self) -> &'static str {
        match self {
            Self::Argon2(_) => "argon2",
            Self::Sha256(_) => "sha256",
            Self::Plain(_) => "plain text",
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Password({})", self.form())
    }
}

/// Whether `hash` can be checked, and at a price that a server can pay.
fn check(hash: &str) -> Result<(), Refusal> {
    let whole = |hash: PasswordHash| (hash.salt.is_some() && hash.hash.is_some()).then_some(hash);
    let parsed = PasswordHash::new(hash).ok().and_then(whole);
    let params = parsed.as_ref().and_then(|hash| Params::try_from(hash).ok());
    let Some(params) = params else {
        return Err(Refusal::new(
            "this is not a whole argon2 hash: it has the form $argon2id$v=19$m=...,t=...,p=...$SALT$HASH; in \
             double quotes TOML takes it as it is, a shell does not",
        ));
    };
    if params.m_cost() > MEMORY_MAX || params.t_cost() > PASSES_MAX || params.p_cost() > LANES_MAX {
        return Err(Refusal::new(format!(
            "this hash costs too much to be checked at each join: at most m={MEMORY_MAX}, t={PASSES_MAX}, \
             p={LANES_MAX}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str =
        "$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHRzYWx0$hFrQ0xXk1bEDYhT0pGEJ3mEMbVE2XGfYxr2KO8Qz3iI";

    #[test]
    fn a_password_is_told_from_its_hashes() {
        let form = |text: &str| Password::parse(text).map(|password| password.form());
        assert_eq!(form(HASH), Ok("argon2"));
        assert_eq!(form(&format!("argon2:{HASH}")), Ok("argon2"));
        assert_eq!(form("sha256:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="), Ok("sha256"));
        assert_eq!(form("hunter2"), Ok("plain text"));
        for (wrong, why) in [
            ("", "empty"),
            ("sha256:abc", "32 bytes"),
            ("sha256:!", "32 bytes"),
            ("$2y$10$abcdefghijklmnopqrstuv", "kind that is known"),
            ("argon2:hunter2", "kind that is known"),
            ("$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHRzYWx0", "whole"),
            (&HASH.replace("m=4096", "m=4194304"), "costs too much"),
            (&HASH.replace("t=3", "t=300"), "costs too much"),
        ] {
            let refusal = Password::parse(wrong).expect_err(wrong);
            assert!(refusal.why.contains(why), "{wrong}: {}", refusal.why);
            assert!(wrong.is_empty() || !refusal.why.contains(wrong), "{}", refusal.why);
        }
    }

    #[test]
    fn a_password_prints_as_its_form_alone() {
        let password = Password::parse("hunter2").expect("a password");
        assert_eq!(format!("{password:?}"), "Password(plain text)");
    }
}
