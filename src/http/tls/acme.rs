//! Certificates by ACME, kept and renewed: one for the public listener (`http.tls.acme`).
//!
//! Owns when one is asked for, how often that is tried, and what is said of it. What is shown stays until there is something
//! better. A shell: it waits and reads the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it waits and reads the clock")]

mod account;
mod cache;
mod order;
mod transport;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sluice_config::Acme;
use tokio::sync::{Notify, watch};

use self::account::aside;
pub use self::cache::{Cache, CacheError};
use self::order::OrderError;
use self::transport::Transport;
use super::Tls;
use super::certificate::{Certificate, CertificateError, Contents, PemFile};
use super::reminder::Reminder;

/// The pause after a certificate could not be had: the first, and, doubling, the longest. Shorter runs into the limits of public
/// servers (Let's Encrypt: five failures of a name in an hour); longer leaves the listener without one.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2 * 60), Duration::from_secs(6 * 3600));

/// Least time between two tries that somebody asks for. Shorter lets a script run into those limits.
const ASKED: Duration = Duration::from_secs(10);

/// The longest sleep: a clock that was set is noticed so soon.
const LOOK: Duration = Duration::from_secs(3600);

/// For one order with all that belongs to it.
const ORDER_MAX: Duration = Duration::from_secs(5 * 60);

/// Keeps a certificate for a listener.
pub struct Keeper {
    acme: Acme,
    tls: Arc<Tls>,
    cache: Arc<Cache>,
    reminder: Reminder,
    /// Tries that failed in a row, and when the last one ended.
    failures: u32,
    tried: Option<Instant>,
    /// What was wrong last.
    said: Option<String>,
}

/// The root that a private server's certificate comes from.
pub fn root(acme: &Acme) -> Option<PemFile> {
    acme.root.as_deref().map(|path| PemFile::new("http.tls.acme.root".to_owned(), path))
}

/// Looks at what ACME needs of this machine, without asking anybody.
///
/// # Errors
///
/// What is wrong with the folder or with the root.
pub fn check(acme: &Acme) -> Result<(), String> {
    Cache::new(acme).check().map_err(|error| error.to_string())?;
    Transport::new(root(acme).as_ref()).map(drop).map_err(|error| error.to_string())
}

/// Keeps the listener's certificate until the stop; `ask` has a try that failed made again at once.
pub async fn keep(keeper: &mut Keeper, ask: &Notify, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = keeper.run(ask) => {}
    }
}

impl Keeper {
    /// For `tls`, whose certificate is one of `acme`.
    pub fn new(acme: Acme, tls: Arc<Tls>) -> Keeper {
        let cache = Arc::new(Cache::new(&acme));
        Keeper { acme, tls, cache, reminder: Reminder::default(), failures: 0, tried: None, said: None }
    }

    async fn run(&mut self, ask: &Notify) {
        loop {
            if let Some(certificate) = self.tls.certificate() {
                self.reminder.look(self.tls.listener, &certificate);
            }
            let due = self.due(SystemTime::now());
            let pause = due.max(self.pause());
            if !pause.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(pause.min(LOOK)) => continue,
                    () = ask.notified() => {}
                }
                if !due.is_zero() {
                    continue;
                }
                let since = self.tried.map_or(ASKED, |tried| tried.elapsed());
                tokio::time::sleep(ASKED.saturating_sub(since)).await;
            }
            self.order().await;
        }
    }

    /// Until when there is nothing to do: renewal begins when a third of the time is left.
    fn due(&self, now: SystemTime) -> Duration {
        let Some(certificate) = self.tls.certificate() else { return Duration::ZERO };
        if !self.acme.domains.iter().all(|name| certificate.names.contains(name)) {
            return Duration::ZERO;
        }
        certificate.renewal().duration_since(now).unwrap_or_default()
    }

    /// What is left of the pause after the last failure.
    fn pause(&self) -> Duration {
        match (self.failures, self.tried) {
            (0, _) | (_, None) => Duration::ZERO,
            (failures, Some(tried)) => backoff(failures).saturating_sub(tried.elapsed()),
        }
    }

    async fn order(&mut self) {
        let listener = self.tls.listener;
        let ordered = tokio::time::timeout(ORDER_MAX, self.certificate()).await;
        self.tried = Some(Instant::now());
        match ordered.unwrap_or(Err(OrderError::Late(ORDER_MAX))) {
            Ok((certificate, kept)) => {
                tracing::info!(listener, "ACME: a new certificate is shown: {certificate}");
                self.tls.show(certificate);
                self.tls.counters.ordered.add_shared(1);
                (self.failures, self.said, self.reminder) = (0, None, Reminder::default());
                if let Err(error) = kept {
                    tracing::error!(listener, "ACME: the certificate is lost with this process: {error}");
                }
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.say(&error.to_string());
                self.tls.counters.not_ordered.add_shared(1);
            }
        }
    }

    /// A new certificate, and whether it could be kept.
    async fn certificate(&self) -> Result<(Certificate, Result<(), CacheError>), OrderError> {
        let Keeper { acme, tls, cache, .. } = self;
        let of_root = root(acme);
        let transport = aside(move || Transport::new(of_root.as_ref())).await?;
        let pem = order::certificate(acme, cache, &transport, &tls.challenges).await?;
        let contents = Contents::of_one(pem.as_bytes());
        let certificate = cache.pair().judge(&contents, SystemTime::now())?;
        let cache = cache.clone();
        let kept = aside(move || cache.keep_pair(pem.as_bytes())).await;
        Ok((certificate, kept))
    }

    /// Says why there is none; the same once.
    fn say(&mut self, why: &str) {
        let listener = self.tls.listener;
        if self.said.as_deref() == Some(why) {
            return tracing::debug!(listener, "ACME: {why}");
        }
        let stands = match self.tls.certificate() {
            Some(certificate) => format!("the certificate stays as it was ({certificate})"),
            None => "there is no certificate yet, and whoever comes by HTTPS is turned away".to_owned(),
        };
        let minutes = backoff(self.failures).as_secs() / 60;
        let directory = &self.acme.directory;
        tracing::error!(
            listener,
            "ACME: {stands}: {directory}: {why}. It is tried again in {minutes} minutes, then more and more seldom, and at once on SIGHUP"
        );
        self.said = Some(why.to_owned());
    }
}

/// The pause after so many failures in a row.
fn backoff(failures: u32) -> Duration {
    let (first, longest) = PAUSES;
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest)
}

/// The certificate that is kept of `acme`, if there is one that can be shown.
///
/// # Errors
///
/// [`CertificateError`], if there is one that cannot.
pub fn kept(acme: &Acme, now: SystemTime) -> Result<Option<Certificate>, CertificateError> {
    let files = Cache::new(acme).pair();
    match files.read() {
        Err(error) if error.is_absent() => Ok(None),
        read => files.judge(&read?, now).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_ever_more_seldom_and_within_the_limits_of_public_servers() {
        let mut at = Duration::ZERO;
        let mut within_an_hour = 1;
        for failures in 1..40 {
            let pause = backoff(failures);
            assert!(pause >= PAUSES.0 && pause <= PAUSES.1 && pause >= backoff(failures.saturating_sub(1)));
            at += pause;
            within_an_hour += u32::from(at < Duration::from_secs(3600));
        }
        assert!(within_an_hour <= 5, "{within_an_hour} tries in the first hour");
        assert_eq!(backoff(u32::MAX), PAUSES.1);
    }
}
