//! The files of certificates, watched: what changes in them is shown to those who come next.
//!
//! Owns when the files are read, what is said of them, and how often. They are compared by their contents, because tools
//! that renew certificates exchange links and folders as well as files. A shell: it waits and reads the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it waits and reads the clock")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::Tls;
use super::certificate::{Certificate, CertificateError, Files};
use super::reminder::Reminder;

/// Time between looks at the files. Longer shows a new certificate later; each look reads a few KiB.
const LOOK: Duration = Duration::from_secs(5);

/// How long a look may take before that is said. Longer says later that a disk hangs.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// One listener's files.
struct Watch {
    tls: Arc<Tls>,
    files: Files,
    /// What the last look found wrong.
    wrong: Option<String>,
    /// That it was said.
    is_said: bool,
    reminder: Reminder,
    /// A look that has not ended yet: no other begins beside it.
    late: Option<JoinHandle<Result<Option<Certificate>, CertificateError>>>,
}

/// Watches the files of `listeners` until the stop; `ask` has it look at once.
pub async fn watch(listeners: &[(Arc<Tls>, Files)], ask: &Notify, mut stop: watch::Receiver<bool>) {
    let new = |(tls, files): &(Arc<Tls>, Files)| Watch {
        tls: tls.clone(),
        files: files.clone(),
        wrong: None,
        is_said: false,
        reminder: Reminder::default(),
        late: None,
    };
    let mut watches: Vec<Watch> = listeners.iter().map(new).collect();
    loop {
        watches.iter_mut().for_each(Watch::remind);
        let is_asked = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = ask.notified() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        for watch in &mut watches {
            watch.look(is_asked).await;
        }
    }
}

impl Watch {
    async fn look(&mut self, is_asked: bool) {
        let (tls, files) = (self.tls.clone(), self.files.clone());
        // On a thread of its own: a disk may take as long as it likes.
        let look = self.late.take();
        let mut look = look.unwrap_or_else(|| tokio::task::spawn_blocking(move || changed(&tls, &files)));
        let Ok(looked) = tokio::time::timeout(LOOK_MAX, &mut look).await else {
            self.late = Some(look);
            let why =
                format!("they could not be read within {} s: does their disk answer?", LOOK_MAX.as_secs());
            return self.is_wrong(why, is_asked);
        };
        let Ok(looked) = looked else { return tracing::error!("a look at a certificate panicked") };
        let listener = self.tls.listener;
        match looked {
            Ok(None) => (self.wrong, self.is_said) = (None, false),
            Ok(Some(certificate)) => {
                tracing::info!(listener, "a new certificate is shown: {certificate}");
                self.tls.show(certificate);
                (self.wrong, self.is_said, self.reminder) = (None, false, Reminder::default());
                self.remind();
            }
            Err(error) => self.is_wrong(error.to_string(), is_asked),
        }
    }

    /// Says once what is wrong, when it was so twice: between the first file and the second a pair is none.
    fn is_wrong(&mut self, why: String, is_asked: bool) {
        let is_same = self.wrong.as_ref() == Some(&why);
        if (is_asked || is_same) && !(is_same && self.is_said) {
            let listener = self.tls.listener;
            self.tls.counters.refused.add_shared(1);
            let shown = self.tls.certificate().map(|shown| shown.to_string()).unwrap_or_default();
            tracing::error!(listener, "the certificate stays as it was ({shown}): {why}");
            self.is_said = true;
        } else if !is_same {
            self.is_said = false;
        }
        self.wrong = Some(why);
    }

    /// Says that the certificate needs a person, if it does.
    fn remind(&mut self) {
        if let Some(certificate) = self.tls.certificate() {
            self.reminder.look(self.tls.listener, &certificate);
        }
    }
}

/// What is in the files, if it is not what is shown, nor worse than that.
fn changed(tls: &Tls, files: &Files) -> Result<Option<Certificate>, CertificateError> {
    let contents = files.read()?;
    let shown = tls.certificate();
    if shown.as_ref().is_some_and(|shown| shown.mark == contents.mark()) {
        return Ok(None);
    }
    let now = SystemTime::now();
    let certificate = files.judge(&contents, now)?;
    // It is taken by the look that finds its time come.
    if shown.is_some_and(|shown| shown.is_in_time(now)) {
        files.is_due(&certificate, now)?;
    }
    Ok(Some(certificate))
}
