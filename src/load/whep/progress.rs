//! The course of a load test as it is seen: the line on the terminal, and the points of the curves.
//!
//! Owns what is looked at once a step. Never changes the test.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::super::process::{self, Sample};
use super::super::series::Moment;
use super::Course;

impl Course<'_> {
    /// Keeps what is known now as a point of the curves, and shows it.
    pub(super) fn record(&mut self) {
        let at = self.began.elapsed();
        let (coordinator, _) = process::thread_times();
        let server = Sample::of_all(&self.options.server_pid);
        let moment = Moment { at, failed: self.failed(), coordinator, server };
        self.recorder.record(moment, &self.marks);
        let step = self.recorder.step();
        self.next_record = self.next_record.map(|due| (due + step).max(Instant::now()));
        self.show_progress();
    }

    /// Keeps the last point. Rates over a short time are no rates: then there is none.
    pub(super) fn record_last(&mut self) {
        let now = Instant::now();
        let step = self.recorder.step();
        if self.next_record.is_some_and(|due| due < now + step / 2) {
            self.record();
        }
    }

    fn failed(&self) -> u64 {
        self.run.failures.values().chain(self.run.ended.values()).sum()
    }

    fn show_progress(&self) {
        let Some(point) = self.recorder.latest() else { return };
        let loss = match point.loss_before_repair {
            Some(loss) => format!("{:.2} % lost before repair", loss * 100.0),
            None => "nothing comes".to_owned(),
        };
        self.progress.set_message(format!(
            "{} joined, {} connected, {} failed, {:.1} Mbit/s, {:.0} packets/s, {loss}",
            self.run.joined,
            point.connected,
            point.failed,
            point.bits_per_second / 1e6,
            point.packets_per_second,
        ));
        self.progress.tick();
    }
}

/// A line that is drawn over and over; nothing at all where standard error is not a terminal.
pub(super) fn line() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{elapsed_precise} {msg}").unwrap_or(ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}
