//! That a camera has the key of its certificate, where the library does not read such a certificate: one of version 1, or
//! with an RSA key below 2048 bits. Only asked about a certificate whose fingerprint was given.
//!
//! Owns which signatures by such keys count.

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    UnparsedPublicKey,
};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _, Header, Reader as _, SliceReader};

/// What small RSA keys can sign with here; in TLS 1.2 only.
pub(super) const OLD_SCHEMES: [SignatureScheme; 2] =
    [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::RSA_PKCS1_SHA512];

/// Whether `signature` over `message` is one by the key in `certificate`.
pub(super) fn is_by_key_of(
    certificate: &CertificateDer<'_>,
    message: &[u8],
    scheme: SignatureScheme,
    signature: &[u8],
    known: &WebPkiSupportedAlgorithms,
) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else { return false };
    let info = certificate.tbs_certificate().subject_public_key_info();
    let Ok(algorithm) = info.algorithm.to_der() else { return false };
    let Some(key) = info.subject_public_key.as_bytes() else { return false };
    let mut of_scheme = known.mapping.iter().filter(|(this, _)| *this == scheme).flat_map(|(_, all)| *all);
    let by_library = of_scheme.any(|known| {
        contents(&algorithm) == Some(known.public_key_alg_id().as_ref())
            && known.verify_signature(key, message, signature).is_ok()
    });
    let old = match scheme {
        SignatureScheme::RSA_PKCS1_SHA256 => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        SignatureScheme::RSA_PKCS1_SHA512 => &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        _ => return by_library,
    };
    by_library || UnparsedPublicKey::new(old, key).verify(message, signature).is_ok()
}

/// What is in a sequence.
fn contents(der: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(der).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    reader.read_slice(header.length()).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use rustls::crypto::aws_lc_rs::default_provider;

    use super::*;

    const MESSAGE: &[u8] = b"what was shaken";

    /// By `openssl req -x509 -newkey rsa:1024`, and `openssl dgst -sha256 -sign` of the message.
    const SMALL: [&str; 2] = [
        "MIIB+jCCAWOgAwIBAgIUI9XzOe+HbNCK9O5Xm976OLtWSYowDQYJKoZIhvcNAQELBQAwDjEMMAoGA1UEAwwDY2FtMCAXDTI2MTEyNzAzMDM1\
         MloYDzIxMjYxMTAzMDMwMzUyWjAOMQwwCgYDVQQDDANjYW0wgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBAM7KcVzCI1MxGOpJC31loYDX\
         k2w5KOIZkLYMnPxBN71vK7j53zXxj2gbpJW1BdgUnWAaOXdvFCLfXeg8F8mJNTZM5BCVKNJ9oxN0ilpqMmdGaKYg6ANowvOkOJyY5tUHJ6wp\
         k6I4w6VIJSLN+q8WW0l7mKE1jGuBBjQQamdGqGPfAgMBAAGjUzBRMB0GA1UdDgQWBBSAzITdU4RM05ZhdoeQef+UKpSpEDAfBgNVHSMEGDAW\
         gBSAzITdU4RM05ZhdoeQef+UKpSpEDAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4GBAMbMoR317Sew3ujN/2rfhv0wlqDxHVhT\
         Kn2qE8dfRpqBPcm3kjtNufk4XhodWN0lH21lXUMpZSseRqoJQvWBrP4dyGbqe30PTuSxk9FgQoWv5eEC73jeKEWoIORNT1uL8Q+eJnGBJq8D\
         rxnm+off+bpyI7EyKrJK2CiY7XXFNFdH",
        "rmra6K0krhSfhkdSZMG8UOYv2Oap9333CkPUWU5D+yEXw+TapyXeaq4JwejKC7qT0loqGOiLPf3/gRf/ecwp6zhUVpKz1D8FV2wsU5gJ+2y60\
         rlhuKUdEz12SRauwwIgYOdT3gHDtzSlEUep+iuJ0135tjo3pDrz2tQiEAi4+QY=",
    ];

    /// By `openssl x509 -req -signkey` without extensions: version 1, with a key of P-256.
    const FIRST: [&str; 2] = [
        "MIIBGDCBvwIUNwV3xx+vm+2l6WAEDHTICD1TcS8wCgYIKoZIzj0EAwIwDjEMMAoGA1UEAwwDY2FtMCAXDTI2MTEyNzAzMDM1MloYDzIxMjYx\
         MTAzMDMwMzUyWjAOMQwwCgYDVQQDDANjYW0wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASN2PUbrNDoRQYv08dvOE9kPzo6d6Eq7O1YymqG\
         Ck6ZMFzg0/cFZq7GxTPmPAdDDVVsvUWKipJeubZcI9jV3umaMAoGCCqGSM49BAMCA0gAMEUCIQDn8Lz4xQ3E7b8heGf12vbHGE8OEerByoT4\
         cRov/px8RQIgW0TtJoNGjxT+hkGYe1aozGLJZCe2pnPZYX7bK/tD6jI=",
        "MEQCIEwnOPiHY/2DNPdGdcOkzjaQje/Gk3dcdQLTLpHdd87tAiATbPKv03tvwB40XxYzwUgQaNEaxLLs+e8y1kZCzFWjVg==",
    ];

    #[test]
    fn keys_of_old_certificates_prove_themselves_and_nothing_else_does() {
        let provider = default_provider();
        let known = &provider.signature_verification_algorithms;
        for ([certificate, signature], scheme) in
            [(SMALL, SignatureScheme::RSA_PKCS1_SHA256), (FIRST, SignatureScheme::ECDSA_NISTP256_SHA256)]
        {
            let [certificate, signature] =
                [certificate, signature].map(|text| BASE64_STANDARD.decode(text).expect("base64"));
            let certificate = CertificateDer::from(certificate);
            let proves = |message: &[u8], scheme, signature: &[u8]| {
                is_by_key_of(&certificate, message, scheme, signature, known)
            };
            assert!(proves(MESSAGE, scheme, &signature), "{scheme:?}");
            assert!(!proves(b"something else", scheme, &signature), "{scheme:?}");
            let mut other = signature.clone();
            *other.last_mut().expect("it is not empty") ^= 1;
            assert!(!proves(MESSAGE, scheme, &other), "{scheme:?}");
            assert!(!proves(MESSAGE, SignatureScheme::RSA_PKCS1_SHA512, &signature), "another scheme");
        }
        let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 1, 1]);
        assert!(!is_by_key_of(&garbage, MESSAGE, SignatureScheme::ED25519, b"", known));
    }
}
