//! Lines on their way out of the process: a queue that never waits, and a thread that may.
//!
//! Owns what happens when nobody reads the log, or the disk below it is full: lines are lost and counted,
//! and nothing else. Whoever logs only ever puts a line into a queue; the one thread that writes is the
//! only one that a stuck pipe can stop, and an error of the write ends the line, not the thread.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it makes a thread and waits for it")]

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::count::Cell;

/// Lines that may wait to be written. More take memory (up to [`LINE_MAX`] each) while the log is stuck;
/// fewer lose lines when many viewers join at once.
const LINES_MAX: usize = 4_096;

/// Bytes of one line; the rest is cut off. More lets a hostile text take more memory, less cuts what a
/// panic tells.
pub(super) const LINE_MAX: usize = 8 * 1_024;

/// How long the end of the process waits for lines that still wait. Longer delays a stop by as much when
/// nobody reads the log; shorter loses the last words to a slow disk.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Lines that were lost: the queue was full, or the write failed.
#[derive(Debug, Default)]
pub struct Lost(Cell);

impl Lost {
    /// How many.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

enum Job {
    Line(Box<[u8]>),
    /// Answers when all lines before it are written.
    Flush(Sender<()>),
}

/// The near end: takes lines, never waits, never fails.
#[derive(Debug, Clone)]
pub struct Lines {
    queue: Sender<Job>,
    lost: Arc<Lost>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

impl Lines {
    /// Starts the thread `name` that writes lines to `out`.
    ///
    /// # Errors
    ///
    /// The kernel's, when it gives no thread.
    pub fn start(name: &str, out: impl Write + Send + 'static) -> io::Result<Lines> {
        let (queue, jobs) = bounded(LINES_MAX);
        let lines = Lines { queue, lost: Arc::default() };
        let lost = lines.lost.clone();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || write_all(&jobs, out, &lost))?;
        Ok(lines)
    }

    /// What was lost so far.
    pub fn lost(&self) -> Arc<Lost> {
        self.lost.clone()
    }

    /// Puts one line in.
    pub fn put(&self, line: &[u8]) {
        let kept = &line[..line.len().min(LINE_MAX)];
        let mut kept: Vec<u8> = kept.to_vec();
        if kept.len() < line.len() {
            kept.push(b'\n');
        }
        if self.queue.try_send(Job::Line(kept.into())).is_err() {
            self.lost.0.add_shared(1);
        }
    }

    /// Puts the lines of a text in.
    pub fn put_all(&self, text: &str) {
        text.split_inclusive('\n').for_each(|line| self.put(line.as_bytes()));
    }

    /// Waits until what was put in is written, but not long.
    pub fn flush(&self) {
        let end = Instant::now() + LAST_WORDS;
        let (done, written) = bounded(1);
        let mut job = Job::Flush(done);
        while Instant::now() < end {
            match self.queue.try_send(job) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => job = back,
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = written.recv_deadline(end);
    }
}

/// Writes until nobody can put lines in any more.
fn write_all(jobs: &Receiver<Job>, mut out: impl Write, lost: &Lost) {
    for job in jobs {
        match job {
            // Each line goes out as it comes: the last one before a crash is the one that matters.
            Job::Line(line) => {
                if out.write_all(&line).and_then(|()| out.flush()).is_err() {
                    lost.0.add_shared(1);
                }
            }
            Job::Flush(done) => {
                let _ = done.try_send(());
            }
        }
    }
}

/// One line of the log under way: the subscriber writes it whole.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> &'a Lines {
        self
    }
}

/// Trouble that repeats, told once in a while: often enough to be seen, and bounded whatever causes it.
#[derive(Debug, Default)]
pub struct Repeated {
    said: Option<Instant>,
    times: u64,
}

/// Time between two lines about the same trouble.
const SAY_AGAIN: Duration = Duration::from_secs(10);

impl Repeated {
    /// It happened, `now`. Gives how often since it was last told, if it is time to tell.
    pub fn tell(&mut self, now: Instant) -> Option<u64> {
        self.times += 1;
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < SAY_AGAIN) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.times))
    }
}

/// What is logged, from `log.level`.
///
/// A level alone is for our own words. Libraries speak for each packet that they cannot use, and their
/// words quote URLs and session descriptions, which hold credentials; what matters of it is counted, or
/// said by us. So they are silent at every level, until a directive names one (`str0m=debug`).
///
/// # Errors
///
/// What is wrong with `level`.
pub fn filter(level: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let ours = level.split(',').map(str::trim).map(|directive| match directive.contains('=') {
        true => directive.to_owned(),
        false => format!("sluice={directive}"),
    });
    EnvFilter::try_new(ours.collect::<Vec<_>>().join(","))
}

/// Says panics in the log instead of on standard error, where writing may wait or fail.
pub fn take_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("?");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("?").to_owned();
        // Empty but where RUST_BACKTRACE asks for it.
        let trace = std::backtrace::Backtrace::capture();
        match trace.status() {
            std::backtrace::BacktraceStatus::Captured => {
                tracing::error!(thread, place, "a panic: {text}\n{trace}");
            }
            _ => tracing::error!(thread, place, "a panic: {text}"),
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// A standard error that does what the test wants of it.
    #[derive(Clone, Default)]
    struct Out {
        text: Arc<Mutex<Vec<u8>>>,
        hangs: Arc<AtomicBool>,
        fails: Arc<AtomicBool>,
    }

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            while self.hangs.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            if self.fails.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.text.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Out {
        fn text(&self) -> String {
            String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn lines_come_out_in_order_and_are_there_after_a_flush() {
        let out = Out::default();
        let lines = Lines::start("log", out.clone()).unwrap();
        for line in 0..100 {
            lines.put(format!("{line}\n").as_bytes());
        }
        lines.flush();
        assert_eq!(out.text(), (0..100).map(|line| format!("{line}\n")).collect::<String>());
        assert_eq!(lines.lost().get(), 0);
    }

    #[test]
    fn a_log_that_nobody_reads_loses_lines_and_delays_nobody() {
        let out = Out::default();
        out.hangs.store(true, Ordering::Relaxed);
        let lines = Lines::start("log", out.clone()).unwrap();
        let began = Instant::now();
        for _ in 0..3 * LINES_MAX {
            lines.put(b"line\n");
        }
        lines.flush();
        assert!(began.elapsed() < LAST_WORDS * 4, "{:?}", began.elapsed());
        // One may be in the hand of the thread.
        assert!((2 * LINES_MAX as u64 - 1..=2 * LINES_MAX as u64).contains(&lines.lost().get()));
        out.hangs.store(false, Ordering::Relaxed);
        lines.flush();
        lines.put(b"it goes on\n");
        lines.flush();
        assert!(out.text().ends_with("it goes on\n"));
    }

    #[test]
    fn a_log_that_cannot_be_written_loses_the_line_and_nothing_else() {
        let out = Out::default();
        out.fails.store(true, Ordering::Relaxed);
        let lines = Lines::start("log", out.clone()).unwrap();
        let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).log_internal_errors(false);
        tracing::subscriber::with_default(subscriber.finish(), || {
            tracing::error!("lost");
            lines.flush();
            assert_eq!(lines.lost().get(), 1);
            out.fails.store(false, Ordering::Relaxed);
            tracing::error!("there is room again");
        });
        lines.flush();
        assert!(out.text().contains("there is room again"));
        assert!(!out.text().contains("lost"));
    }

    #[test]
    fn an_endless_line_is_cut() {
        let out = Out::default();
        let lines = Lines::start("log", out.clone()).unwrap();
        lines.put(&[b'x'; 3 * LINE_MAX]);
        lines.flush();
        assert_eq!(out.text().len(), LINE_MAX + 1);
        assert!(out.text().ends_with("x\n"));
    }

    #[test]
    fn trouble_that_repeats_is_told_once_in_a_while_with_its_count() {
        let (mut trouble, began) = (Repeated::default(), Instant::now());
        let told: Vec<u64> = (0..600u32).filter_map(|n| trouble.tell(began + n * SAY_AGAIN / 200)).collect();
        assert_eq!(told, [1, 200, 200]);
    }

    /// Whether a target may speak at a level under the filter of `log.level`.
    macro_rules! speaks {
        ($level:expr, $target:literal, $at:expr) => {{
            let subscriber = tracing_subscriber::registry().with(filter($level).unwrap());
            tracing::subscriber::with_default(subscriber, || tracing::enabled!(target: $target, $at))
        }};
    }

    #[test]
    fn libraries_are_silent_until_the_filter_names_them() {
        for level in ["info", "trace", "info,sluice::shard=debug", "debug, sluice=trace"] {
            assert!(!speaks!(level, "is::stun", Level::WARN), "{level}");
            assert!(!speaks!(level, "str0m::dtls", Level::WARN), "{level}");
            assert!(!speaks!(level, "dimpl::engine", Level::ERROR), "{level}");
            assert!(!speaks!(level, "sctp_proto", Level::ERROR), "{level}");
            assert!(!speaks!(level, "retina::client", Level::ERROR), "{level}");
            assert!(speaks!(level, "sluice::shard::worker", Level::INFO), "{level}");
        }
        assert!(!speaks!("info", "sluice::shard", Level::DEBUG));
        assert!(speaks!("trace", "sluice::shard", Level::TRACE));
        assert!(!speaks!("off", "sluice::shard", Level::ERROR));
        assert!(speaks!("info,is=warn", "is::stun", Level::WARN));
        assert!(speaks!("warn,str0m::dtls=debug", "str0m::dtls", Level::DEBUG));
        assert!(speaks!("str0m=debug", "str0m::ice", Level::DEBUG));
    }
}
