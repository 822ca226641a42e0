//! The fingerprint of a certificate: what is believed where no authority vouches for it.

use std::{fmt, str::FromStr};

/// Bytes of a SHA-256.
const BYTES: usize = 32;

/// The SHA-256 of a certificate as it is sent (DER). It prints as it is written: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; BYTES]);

/// What was written is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a fingerprint is the SHA-256 of a certificate: 64 hexadecimal digits, with or without a `:` between every two"
)]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let text = text.trim();
        let digits: Vec<u8> = match text.contains(':') {
            true if text.split(':').all(|pair| pair.len() == 2) => {
                text.bytes().filter(|b| *b != b':').collect()
            }
            true => return Err(FingerprintError),
            false => text.bytes().collect(),
        };
        let mut bytes = [0; BYTES];
        if digits.len() != 2 * BYTES {
            return Err(FingerprintError);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).ok_or(FingerprintError);
            *byte = (digit(0)? << 4 | digit(1)?) as u8;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "33949e05fffb5ff3e8aa16f8213a6251b4d9363804ba53233c4da9a46d6f2739";

    #[test]
    fn it_is_read_as_openssl_and_mediamtx_write_it_and_prints_as_itself() {
        let colons: Vec<String> =
            PLAIN.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
        for text in [PLAIN.to_owned(), PLAIN.to_uppercase(), colons.join(":"), format!(" {PLAIN}\n")] {
            let fingerprint: Fingerprint = text.parse().expect(&text);
            assert_eq!(fingerprint.to_string(), PLAIN);
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let colons_astray = format!("3:3{}", &PLAIN[2..]);
        for text in [
            "",
            "33",
            &PLAIN[1..],
            &format!("{PLAIN}00"),
            &format!("é{}", &PLAIN[2..]),
            &colons_astray,
            &PLAIN.replace('9', "g"),
        ] {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text}");
        }
    }
}
