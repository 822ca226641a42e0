//! A certificate and its key, from PEM files: whether they are whole, belong together and are valid.
//!
//! Owns what is wrong with them, in words that name the key of the configuration, the file and the way out. It quotes
//! nothing of a file, because one of them is secret.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate as X509;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use zeroize::Zeroizing;

/// The largest file read. A chain has a few KiB; `/dev/zero` does not end.
const FILE_MAX: u64 = 1 << 20;

const NO_CERTIFICATE: &str = "there is no certificate in it (-----BEGIN CERTIFICATE-----)";

/// A file by the key of the configuration that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemFile {
    key: String,
    path: PathBuf,
}

/// Where a listener's certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    certificate: PemFile,
    key: PemFile,
}

/// What is in them, before anybody has looked at it.
pub struct Contents {
    certificate: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
}

/// A pair that can be shown to clients.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// For the handshake.
    pub key: Arc<CertifiedKey>,
    /// The names that it is for, without wildcards.
    pub names: Vec<String>,
    /// From when it is valid.
    pub from: SystemTime,
    /// Until when.
    pub until: SystemTime,
    /// Tells the files that it came from from others.
    pub mark: [u8; 32],
}

/// Why a pair cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The kernel does not let us read.
    #[error("{file}: it cannot be read: {source}{}", advice(.source))]
    Read {
        /// Which.
        file: PemFile,
        /// Why not.
        source: io::Error,
    },
    /// No PEM.
    #[error("{file}: {why}")]
    Pem {
        /// Which.
        file: PemFile,
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// A certificate that no client could read.
    #[error("{file}: certificate {number} in it cannot be read as X.509 ({why}); have it issued again")]
    Certificate {
        /// Which.
        file: PemFile,
        /// Counted from 1.
        number: usize,
        /// What the reader says.
        why: String,
    },
    /// A key of a kind that TLS does not know.
    #[error(
        "{file}: its key cannot be used ({why}); RSA from 2048 bits, P-256, P-384, P-521 and Ed25519 can"
    )]
    Key {
        /// Which.
        file: PemFile,
        /// What the library says.
        why: String,
    },
    /// Two that do not belong together.
    #[error(
        "{key} does not belong to the first certificate in {certificate}: give the key that this certificate was \
         made for, and put the server's own certificate before those that lead to its root"
    )]
    Mismatch {
        /// The one.
        certificate: PemFile,
        /// The other.
        key: PemFile,
    },
    /// One of the first kind of X.509, which knows no names.
    #[error(
        "{file}: the certificate is of X.509 version {version}, and TLS takes version 3 alone: have it issued with extensions, \
         its names among them, as in `openssl x509 -req -extfile FILE` with subjectAltName = DNS:NAME in it"
    )]
    Version {
        /// Which.
        file: PemFile,
        /// Counted as people do.
        version: u8,
    },
    /// Too early.
    #[error(
        "{file}: the certificate is not valid before {}: have one issued that is valid now, or set this machine's clock right",
        httpdate::fmt_http_date(*.from)
    )]
    NotYet {
        /// Which.
        file: PemFile,
        /// From when.
        from: SystemTime,
    },
    /// Too old.
    #[error("{file}: the certificate expired on {}; renew it", httpdate::fmt_http_date(*.until))]
    Expired {
        /// Which.
        file: PemFile,
        /// When.
        until: SystemTime,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; check the path",
        io::ErrorKind::PermissionDenied => {
            "; let the user that Sluice runs as read it and enter the folders that lead to it"
        }
        _ => "",
    }
}

impl std::fmt::Display for PemFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {:?}", self.key, self.path)
    }
}

impl std::fmt::Display for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.certificate.fmt(f)
    }
}

impl CertificateError {
    /// Whether there simply is no file.
    pub fn is_absent(&self) -> bool {
        matches!(self, CertificateError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl PemFile {
    /// The one that the configuration's `key` names.
    pub fn new(key: String, path: &Path) -> PemFile {
        PemFile { key, path: path.to_owned() }
    }

    /// Every certificate in it, at least one. It may wait for a disk.
    ///
    /// # Errors
    ///
    /// [`CertificateError::Read`] and [`CertificateError::Pem`].
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
        let read = CertificateDer::pem_slice_iter(&self.read()?).collect::<Result<Vec<_>, _>>();
        let found = read.map_err(|error| self.is_no_pem(&error))?;
        if found.is_empty() {
            return Err(self.is(NO_CERTIFICATE));
        }
        Ok(found)
    }

    /// That the certificate `index` in it, from 0, is none.
    pub fn unreadable(&self, index: usize, why: &dyn std::error::Error) -> CertificateError {
        CertificateError::Certificate { file: self.clone(), number: index + 1, why: why.to_string() }
    }

    fn read(&self) -> Result<Vec<u8>, CertificateError> {
        let refused = |source| CertificateError::Read { file: self.clone(), source };
        // A pipe would keep the reader for ever.
        if !std::fs::metadata(&self.path).map_err(refused)?.is_file() {
            return Err(self.is("it is no regular file"));
        }
        let file = std::fs::File::open(&self.path).map_err(refused)?;
        let mut bytes = Vec::new();
        file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(refused)?;
        match bytes.len() as u64 {
            0 => Err(self.is("it is empty")),
            1..=FILE_MAX => Ok(bytes),
            _ => Err(self.is("it is larger than 1 MiB, so it is no certificate and no key")),
        }
    }

    fn is(&self, why: &'static str) -> CertificateError {
        CertificateError::Pem { file: self.clone(), why }
    }

    /// What the reader of PEM says, without its quotes.
    fn is_no_pem(&self, error: &pem::Error) -> CertificateError {
        self.is(match error {
            pem::Error::MissingSectionEnd { .. } => "a section has no END line: the file is not whole",
            pem::Error::IllegalSectionStart { .. } => "a BEGIN line is broken: the file is not PEM",
            _ => "a section is not base64: the file is damaged",
        })
    }
}

impl Files {
    /// Those of the table `table` of the configuration, `http.tls` as an example.
    pub fn new(table: &str, (certificate, key): (&Path, &Path)) -> Files {
        let file = |name: &str, path: &Path| PemFile::new(format!("{table}.{name}"), path);
        Files { certificate: file("certificate", certificate), key: file("key", key) }
    }

    /// Both in one file, which `key` of the configuration leads to.
    pub fn kept(key: &str, path: &Path) -> Files {
        let file = PemFile::new(key.to_owned(), path);
        Files { certificate: file.clone(), key: file }
    }

    /// Reads both. It may wait for a disk.
    ///
    /// # Errors
    ///
    /// [`CertificateError::Read`], and [`CertificateError::Pem`] for a file that is empty or too large.
    pub fn read(&self) -> Result<Contents, CertificateError> {
        let certificate = Zeroizing::new(self.certificate.read()?);
        let key = match self.certificate == self.key {
            true => certificate.clone(),
            false => Zeroizing::new(self.key.read()?),
        };
        Ok(Contents { certificate, key })
    }

    /// Makes a certificate of what was read.
    ///
    /// # Errors
    ///
    /// What is wrong with it at `now`, the first of it. One that is not valid yet is taken ([`Files::is_due`] says so): a start
    /// has nothing better, and the clock may be wrong.
    pub fn judge(&self, contents: &Contents, now: SystemTime) -> Result<Certificate, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(&contents.certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| self.certificate.is_no_pem(&error))?;
        let mut parsed = Vec::new();
        for (index, der) in chain.iter().enumerate() {
            parsed.push(X509::from_der(der).map_err(|error| self.certificate.unreadable(index, &error))?);
        }
        let Some(own) = parsed.first() else {
            let why = match PrivateKeyDer::from_pem_slice(&contents.certificate) {
                Ok(_) => "there is a key in it and no certificate: certificate and key are exchanged",
                Err(_) => NO_CERTIFICATE,
            };
            return Err(self.certificate.is(why));
        };
        // The library takes it for a fault of the key.
        let version = own.tbs_certificate().version() as u8 + 1;
        if version != 3 {
            return Err(CertificateError::Version { file: self.certificate.clone(), version });
        }
        let key =
            PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| self.no_key(contents, &error))?;
        let key = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                CertificateError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone() }
            }
            error => CertificateError::Key { file: self.key.clone(), why: error.to_string() },
        })?;
        let validity = own.tbs_certificate().validity();
        let [from, until] =
            [validity.not_before, validity.not_after].map(|time| UNIX_EPOCH + time.to_unix_duration());
        if until <= now {
            return Err(CertificateError::Expired { file: self.certificate.clone(), until });
        }
        Ok(Certificate { key: Arc::new(key), names: names(own), from, until, mark: contents.mark() })
    }

    /// Whether the time of a certificate has begun.
    ///
    /// # Errors
    ///
    /// [`CertificateError::NotYet`].
    pub fn is_due(&self, certificate: &Certificate, now: SystemTime) -> Result<(), CertificateError> {
        let from = certificate.from;
        if from <= now {
            Ok(())
        } else {
            Err(CertificateError::NotYet { file: self.certificate.clone(), from })
        }
    }

    fn no_key(&self, contents: &Contents, error: &pem::Error) -> CertificateError {
        if !matches!(error, pem::Error::NoItemsFound) {
            return self.key.is_no_pem(error);
        }
        let is_encrypted = contents.key.windows(22).any(|words| words == b"BEGIN ENCRYPTED PRIVAT");
        self.key.is(match CertificateDer::from_pem_slice(&contents.key) {
            _ if is_encrypted => {
                "the key in it is encrypted, and nobody is there to say the passphrase: take that off with `openssl pkey`"
            }
            Ok(_) => "there is a certificate in it and no key: certificate and key are exchanged",
            Err(_) => "there is no key in it (-----BEGIN PRIVATE KEY-----)",
        })
    }
}

impl Contents {
    /// Both in one text.
    pub fn of_one(pem: &[u8]) -> Contents {
        let pem = Zeroizing::new(pem.to_vec());
        Contents { certificate: pem.clone(), key: pem }
    }

    /// Tells these contents from others.
    pub fn mark(&self) -> [u8; 32] {
        let mut mark = [0; 32];
        let parts = [&self.certificate[..], &self.key].map(|part| digest(&SHA256, part));
        let parts: Vec<u8> = parts.iter().flat_map(|part| part.as_ref()).copied().collect();
        mark.copy_from_slice(digest(&SHA256, &parts).as_ref());
        mark
    }
}

impl std::fmt::Display for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let [first, others @ ..] = &self.names[..] {
            write!(f, "for {first}{}, ", if others.is_empty() { "" } else { " and others" })?;
        }
        write!(f, "valid until {}", httpdate::fmt_http_date(self.until))
    }
}

impl Certificate {
    /// Whether browsers take it at `now`, as far as its time goes.
    pub fn is_in_time(&self, now: SystemTime) -> bool {
        self.from <= now && now < self.until
    }

    /// When it expires, in seconds since 1970.
    pub fn until_seconds(&self) -> u64 {
        self.until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    /// When it is to be renewed: when a third of its time is left.
    pub fn renewal(&self) -> SystemTime {
        self.until - self.until.duration_since(self.from).unwrap_or_default() / 3
    }

    /// How long before its end a person should know: renewal begins when a third of the time is left, and should have
    /// been done by then. A fifth of the whole time, and not more than two weeks.
    pub fn notice(&self) -> Duration {
        const MOST: Duration = Duration::from_secs(14 * 24 * 3600);
        (self.until.duration_since(self.from).unwrap_or_default() / 5).min(MOST)
    }
}

/// The DNS names that a certificate is for (RFC 5280 §4.2.1.6), as far as they are hosts.
fn names(certificate: &X509) -> Vec<String> {
    let Ok(Some((_, SubjectAltName(names)))) = certificate.tbs_certificate().get_extension() else {
        return Vec::new();
    };
    let dns = names.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str()),
        _ => None,
    });
    let is_host =
        |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    dns.filter(is_host).map(str::to_owned).collect()
}
