//! TLS as the configuration has it: which listener has it, and where its certificate comes from.
//!
//! Owns what a start does with it, and what `sluice check` and `sluice doctor` say of it without one.
#![expect(clippy::disallowed_methods, reason = "a certificate is valid now or not")]

use std::sync::Arc;
use std::time::SystemTime;

use sluice_config::Config;

use super::Tls;
use super::acme::{self, Cache, Keeper};
use super::certificate::{Certificate, CertificateError, Files};

/// Why a listener has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Its files cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The library does not work here.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

/// TLS of the listeners, where the configuration has any.
pub struct Secured {
    /// Of the public one.
    pub public: Option<Arc<Tls>>,
    /// Of the admin one.
    pub admin: Option<Arc<Tls>>,
    /// Those whose certificates are in files.
    pub by_files: Vec<(Arc<Tls>, Files)>,
    /// Who has the other's made.
    pub by_acme: Option<Keeper>,
}

impl Secured {
    /// Both, whichever there are.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Tls>> {
        self.public.iter().chain(&self.admin)
    }

    /// That of `config`.
    ///
    /// # Errors
    ///
    /// What is wrong with a file that it names. What is kept of ACME and cannot be used is another's matter: it is made anew.
    pub fn new(config: &Config) -> Result<Secured, TlsError> {
        let mut secured = Secured { public: None, admin: None, by_files: Vec::new(), by_acme: None };
        for (listener, files) in ["public", "admin"].into_iter().zip(tables(config)) {
            let Some(files) = files else { continue };
            let tls = Arc::new(Tls::new(listener, Some(load(&files)?), false)?);
            let place = if listener == "public" { &mut secured.public } else { &mut secured.admin };
            *place = Some(tls.clone());
            secured.by_files.push((tls, files));
        }
        let acme = &config.http.tls.acme;
        if acme.is_on() {
            let kept = acme::kept(acme, SystemTime::now()).unwrap_or_else(|error| {
                tracing::warn!(
                    "ACME: another certificate is made, because the one that is kept cannot be used: {error}"
                );
                None
            });
            let tls = Arc::new(Tls::new("public", kept, true)?);
            secured.by_acme = Some(Keeper::new(acme.clone(), tls.clone()));
            secured.public = Some(tls);
        }
        Ok(secured)
    }
}

/// The files of each listener, public and admin, with the table that names them.
fn tables(config: &Config) -> [Option<Files>; 2] {
    [("http.tls", config.http.tls.files()), ("admin.tls", config.admin.tls.files())]
        .map(|(table, files)| files.map(|files| Files::new(table, files)))
}

/// The certificates of a configuration as a start would find them, each with its files. What ACME has still to bring is not
/// among them.
pub fn certificates(config: &Config) -> Vec<(Files, Result<Certificate, CertificateError>)> {
    let now = SystemTime::now();
    let load = |files| {
        let loaded = load(&files);
        (files, loaded)
    };
    let kept = || {
        let acme = Some(&config.http.tls.acme).filter(|acme| acme.is_on())?;
        Some((Cache::new(acme).pair(), acme::kept(acme, now).transpose()?))
    };
    // A start has to take one whose time has not come, and browsers do not.
    let in_time = |(files, loaded): (Files, Result<Certificate, CertificateError>)| {
        let loaded = loaded.and_then(|certificate| files.is_due(&certificate, now).map(|()| certificate));
        (files, loaded)
    };
    tables(config).into_iter().flatten().map(load).chain(kept()).map(in_time).collect()
}

/// Looks at what TLS needs, as a start would: what there is, or all that is wrong.
pub fn check(config: &Config) -> Result<Vec<String>, Vec<String>> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let found = certificates(config);
    let acme = &config.http.tls.acme;
    if acme.is_on() {
        match acme::check(acme) {
            Ok(()) if found.iter().any(|(files, _)| *files == Cache::new(acme).pair()) => {}
            Ok(()) => good.push(format!(
                "http.tls.acme: no certificate yet; {} is asked for one at the start",
                acme.directory
            )),
            Err(why) => bad.push(why),
        }
    }
    for (files, loaded) in found {
        match loaded {
            Ok(certificate) => good.push(format!("{files}: a certificate {certificate}")),
            Err(error) => bad.push(error.to_string()),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(bad) }
}

fn load(files: &Files) -> Result<Certificate, CertificateError> {
    files.judge(&files.read()?, SystemTime::now())
}
