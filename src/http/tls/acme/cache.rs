//! What is kept of ACME: the account with its key, and the certificate with its key, in a folder for Sluice's user alone.
//!
//! Owns the files: their names, which tell servers apart, their mode, and that each is written whole or not at all. It
//! waits for a disk.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use rustix::fs::{Access, access};
use sluice_config::Acme;
use zeroize::Zeroizing;

use crate::http::tls::certificate::Files;

/// The key of the configuration that names the folder.
const KEY: &str = "http.tls.acme.cache";

/// The files of one ACME server.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    /// What the names of its files begin with.
    stem: String,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{KEY} = {folder:?}: {what}: {source}; {}", advice(.source))]
pub struct CacheError {
    folder: PathBuf,
    what: String,
    source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "make the folder that it is in (the package's unit does, by StateDirectory=), or name another"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "let the user that Sluice runs as write there (in a unit: StateDirectory=, ReadWritePaths=), or name another"
        }
        _ => "mend that, or name another folder",
    }
}

impl Cache {
    /// Where `acme` has it. Nothing is read or made yet.
    pub fn new(acme: &Acme) -> Cache {
        let url = acme.directory.expose();
        let mark: String = digest(&SHA256, url.as_str().as_bytes()).as_ref()[..4]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let host: String = url
            .host_str()
            .unwrap_or_default()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
            .collect();
        Cache { folder: acme.cache.clone(), stem: format!("{host}-{mark}") }
    }

    /// The certificate, those that lead to its root, and its key, in one file, so that they are always a pair.
    pub fn pair(&self) -> Files {
        let path = self.folder.join(format!("{}.pem", self.stem));
        Files::kept(KEY, &path)
    }

    fn account_path(&self) -> PathBuf {
        self.folder.join(format!("{}.account.json", self.stem))
    }

    /// The account, if there is one.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if there is one that cannot be read.
    pub fn account(&self) -> Result<Option<Zeroizing<Vec<u8>>>, CacheError> {
        match fs::read(self.account_path()) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("the account's file cannot be read", error)),
        }
    }

    /// Keeps the account.
    ///
    /// # Errors
    ///
    /// [`CacheError`]; what was kept before is there as it was.
    pub fn keep_account(&self, json: &[u8]) -> Result<(), CacheError> {
        self.write(&self.account_path(), json)
    }

    /// Keeps a certificate and its key.
    ///
    /// # Errors
    ///
    /// As [`Cache::keep_account`].
    pub fn keep_pair(&self, pem: &[u8]) -> Result<(), CacheError> {
        self.write(&self.folder.join(format!("{}.pem", self.stem)), pem)
    }

    /// Whether the folder can be used, without making it.
    ///
    /// # Errors
    ///
    /// [`CacheError`].
    pub fn check(&self) -> Result<(), CacheError> {
        let may_write = |folder: &Path| {
            if !fs::metadata(folder)?.is_dir() {
                return Err(io::Error::from(io::ErrorKind::NotADirectory));
            }
            access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from)
        };
        match may_write(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = self.folder.parent().filter(|parent| !parent.as_os_str().is_empty());
                may_write(parent.unwrap_or(Path::new(".")))
                    .map_err(|error| self.failed("it cannot be made", error))
            }
            judged => judged.map_err(|error| self.failed("nothing can be kept in it", error)),
        }
    }

    /// Puts `bytes` where `path` is, as a whole.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(self.failed("it cannot be made", error));
            }
            _ => {}
        }
        let mut next = path.to_owned().into_os_string();
        next.push(".new");
        let written = || {
            match fs::remove_file(&next) {
                // One that a crash has left behind may have another mode.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&next, path)?;
            fs::File::open(&self.folder)?.sync_all()
        };
        written().map_err(|error| self.failed("nothing can be kept in it", error))
    }

    fn failed(&self, what: &str, source: io::Error) -> CacheError {
        CacheError { folder: self.folder.clone(), what: what.to_owned(), source }
    }
}
