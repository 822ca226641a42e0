//! AES-GCM of one key (RFC 7714), by either of two libraries: the same bytes from both, and a cost that depends on the
//! processor.
//!
//! Owns the keys with their schedules, wiped when they go, and what differs between the libraries. Knows no packets;
//! which library is the faster one here is for others to say.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::aead as aws_lc;
use ring::aead as ring;

/// Bytes of a tag (RFC 7714 §13.1).
pub(super) const TAG: usize = 16;

/// Who seals and opens with AES-GCM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Library {
    /// aws-lc, as for DTLS and all other ciphers. It reads the payload where that is, and is at its best with AVX-512.
    #[default]
    AwsLc,
    /// ring. It encrypts in place only, and needs VAES without AVX-512 to be at its best.
    Ring,
}

impl Library {
    /// Both.
    pub const ALL: [Library; 2] = [Library::AwsLc, Library::Ring];

    /// Its name in the configuration, in the log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Library::AwsLc => "aws-lc",
            Library::Ring => "ring",
        }
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Library {
    type Err = String;

    fn from_str(name: &str) -> Result<Library, String> {
        let known = Library::ALL.into_iter().find(|library| library.name() == name);
        known.ok_or_else(|| format!("{name:?} is no cipher library; there are \"aws-lc\" and \"ring\""))
    }
}

/// One key: by either library a pointer to its schedule, of 584 bytes (aws-lc) or 544 (ring).
pub enum GcmKey {
    AwsLc(aws_lc::LessSafeKey),
    Ring(RingKey),
}

impl GcmKey {
    /// A key of 16 or 32 bytes; nothing for another length.
    pub(super) fn new(library: Library, key: &[u8]) -> Option<GcmKey> {
        let (aws_lc, ring) = match key.len() {
            16 => (&aws_lc::AES_128_GCM, &ring::AES_128_GCM),
            32 => (&aws_lc::AES_256_GCM, &ring::AES_256_GCM),
            _ => return None,
        };
        Some(match library {
            Library::AwsLc => {
                GcmKey::AwsLc(aws_lc::LessSafeKey::new(aws_lc::UnboundKey::new(aws_lc, key).ok()?))
            }
            Library::Ring => GcmKey::Ring(RingKey::new(ring, key)?),
        })
    }

    /// Encrypts `plain` into `text`, which has its length, and authenticates it with `associated`. A nonce must never
    /// come twice.
    pub(super) fn seal(
        &self,
        nonce: [u8; 12],
        associated: &[u8],
        plain: &[u8],
        text: &mut [u8],
        tag: &mut [u8],
    ) -> Option<()> {
        match self {
            GcmKey::AwsLc(key) => {
                let (nonce, associated) =
                    (aws_lc::Nonce::assume_unique_for_key(nonce), aws_lc::Aad::from(associated));
                key.seal_out_of_place_scatter(nonce, associated, plain, text, &[], tag).ok()
            }
            GcmKey::Ring(_) => {
                text.copy_from_slice(plain);
                self.seal_in_place(nonce, associated, text, tag)
            }
        }
    }

    /// The same where the text is already. `tag` is 16 bytes.
    pub(super) fn seal_in_place(
        &self,
        nonce: [u8; 12],
        associated: &[u8],
        text: &mut [u8],
        tag: &mut [u8],
    ) -> Option<()> {
        match self {
            GcmKey::AwsLc(key) => {
                let (nonce, associated) =
                    (aws_lc::Nonce::assume_unique_for_key(nonce), aws_lc::Aad::from(associated));
                key.seal_in_place_scatter(nonce, associated, text, &[], tag).ok()
            }
            GcmKey::Ring(RingKey(key)) => {
                let (nonce, associated) =
                    (ring::Nonce::assume_unique_for_key(nonce), ring::Aad::from(associated));
                let sealed = key.seal_in_place_separate_tag(nonce, associated, text).ok()?;
                tag.copy_from_slice(sealed.as_ref());
                Some(())
            }
        }
    }

    /// Decrypts in place what ends in its tag; the text, and nothing if it is not authentic.
    pub(super) fn open<'a>(
        &self,
        nonce: [u8; 12],
        associated: &[u8],
        sealed: &'a mut [u8],
    ) -> Option<&'a mut [u8]> {
        match self {
            GcmKey::AwsLc(key) => {
                let (nonce, associated) =
                    (aws_lc::Nonce::assume_unique_for_key(nonce), aws_lc::Aad::from(associated));
                key.open_in_place(nonce, associated, sealed).ok()
            }
            GcmKey::Ring(RingKey(key)) => {
                let (nonce, associated) =
                    (ring::Nonce::assume_unique_for_key(nonce), ring::Aad::from(associated));
                key.open_in_place(nonce, associated, sealed).ok()
            }
        }
    }
}

/// A key of ring's, which does not wipe it. Boxed: it lies in one piece.
pub struct RingKey(Box<ring::LessSafeKey>);

impl RingKey {
    fn new(algorithm: &'static ring::Algorithm, key: &[u8]) -> Option<RingKey> {
        Some(RingKey(Box::new(ring::LessSafeKey::new(ring::UnboundKey::new(algorithm, key).ok()?))))
    }

    /// Puts the schedule of zeros where the key's was.
    fn wipe(&mut self) {
        let algorithm = self.0.algorithm();
        if let Ok(zeros) = ring::UnboundKey::new(algorithm, &[0; 32][..algorithm.key_len()]) {
            *self.0 = ring::LessSafeKey::new(zeros);
            // Somebody might read it: the compiler may not leave the writing out.
            std::hint::black_box(&mut *self.0);
        }
    }
}

impl Drop for RingKey {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn both(key: &[u8]) -> [GcmKey; 2] {
        Library::ALL.map(|library| GcmKey::new(library, key).expect("16 or 32 bytes"))
    }

    proptest! {
        #[test]
        fn both_libraries_write_the_same_bytes_and_open_each_others(
            key in prop_oneof![prop::collection::vec(any::<u8>(), 16), prop::collection::vec(any::<u8>(), 32)],
            nonce in any::<[u8; 12]>(),
            associated in prop::collection::vec(any::<u8>(), 0..60),
            plain in prop::collection::vec(any::<u8>(), 0..1_500),
            damage in any::<prop::sample::Index>(),
        ) {
            let keys = both(&key);
            let [ours, theirs] = keys.each_ref().map(|key| {
                let mut sealed = vec![0; plain.len() + TAG];
                let (text, tag) = sealed.split_at_mut(plain.len());
                key.seal(nonce, &associated, &plain, text, tag).expect("room that fits");
                let mut in_place = [&plain[..], &[0; TAG]].concat();
                let (text, tag) = in_place.split_at_mut(plain.len());
                key.seal_in_place(nonce, &associated, text, tag).expect("room that fits");
                assert_eq!(in_place, sealed, "in place and not");
                sealed
            });
            prop_assert_eq!(&ours, &theirs);
            for key in &keys {
                let mut opened = ours.clone();
                prop_assert_eq!(key.open(nonce, &associated, &mut opened).map(|text| &*text), Some(&plain[..]));
                let mut damaged = ours.clone();
                damaged[damage.index(ours.len())] ^= 1;
                prop_assert_eq!(key.open(nonce, &associated, &mut damaged), None);
            }
        }
    }

    #[test]
    fn room_that_does_not_fit_seals_nothing() {
        for key in both(&[7; 32]) {
            let (mut text, mut tag) = ([0; 20], [0; TAG]);
            assert_eq!(key.seal_in_place([1; 12], &[], &mut text, &mut tag), Some(()));
            assert!(key.open([1; 12], &[], &mut text[..TAG - 1]).is_none());
        }
        for library in Library::ALL {
            assert!(GcmKey::new(library, &[0; 24]).is_none(), "{library}: AES-192 is no profile of SRTP");
        }
    }

    #[test]
    fn a_wiped_key_is_the_key_of_zeros() {
        let sealed = |key: &RingKey| {
            let mut text = *b"Gallia est omnis divisa in partes tres";
            let nonce = ring::Nonce::assume_unique_for_key([0; 12]);
            let tag = key.0.seal_in_place_separate_tag(nonce, ring::Aad::empty(), &mut text).expect("short");
            (text, tag.as_ref().to_vec())
        };
        let key = |byte| RingKey::new(&ring::AES_256_GCM, &[byte; 32]).expect("32 bytes");
        let mut wiped = key(5);
        assert_ne!(sealed(&wiped), sealed(&key(0)));
        wiped.wipe();
        assert_eq!(sealed(&wiped), sealed(&key(0)));
    }

    #[test]
    fn a_library_is_found_by_its_name() {
        for library in Library::ALL {
            assert_eq!(library.to_string().parse(), Ok(library));
        }
        assert!("openssl".parse::<Library>().expect_err("none").contains("aws-lc"));
    }
}
