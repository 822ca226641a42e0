//! A certificate that needs a person: said once a day, from the moment that renewal should have been done.
//! A shell: it reads the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

use std::time::{Duration, Instant, SystemTime};

use super::certificate::Certificate;

/// Time between two lines about the same certificate.
const AGAIN: Duration = Duration::from_secs(24 * 3600);

/// When it was said last.
#[derive(Debug, Default)]
pub struct Reminder(Option<Instant>);

impl Reminder {
    /// Says so, if it is time to.
    pub fn look(&mut self, listener: &'static str, certificate: &Certificate) {
        if self.0.is_some_and(|at| at.elapsed() < AGAIN) {
            return;
        }
        let now = SystemTime::now();
        match certificate.until.duration_since(now) {
            _ if certificate.from > now => tracing::warn!(
                listener,
                "the certificate is not valid before {}: is this machine's clock right?",
                httpdate::fmt_http_date(certificate.from)
            ),
            Ok(left) if left > certificate.notice() => return,
            Ok(left) => {
                let hours = left.as_secs() / 3600;
                tracing::warn!(
                    listener,
                    "the certificate expires in {hours} hours, and was not renewed: {certificate}"
                );
            }
            Err(_) => tracing::error!(
                listener,
                "the certificate has expired, and browsers refuse it: {certificate}"
            ),
        }
        self.0 = Some(Instant::now());
    }
}
