//! Samples of what threads do: a timer of CPU time for each, and the handler of its signal.
//!
//! Owns SIGPROF. Its handler stays once it is installed: a signal that is still on its way when a profile ends would
//! otherwise end the process.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::io;
use std::marker::PhantomData;
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use super::slots::{Slot, Slots};
use super::stack::{Registers, callers};

/// CPU time of one thread by number, in the encoding of the kernel (`include/linux/posix-timers_types.h`,
/// `CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED`).
const fn cpu_clock(thread: i32) -> libc::clockid_t {
    (!thread << 3) | 6
}

/// Where the handler writes: made by the first profile, never freed, because a late signal may still come.
static SLOTS: OnceLock<Slots> = OnceLock::new();

/// Whether a sampler is there to read the slots.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether the handler writes anything.
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// What a thread did at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Stack<'a> {
    /// Its number (Linux's `tid`).
    pub thread: i32,
    /// How many samples this stands for.
    pub weight: u32,
    /// Whether the kernel worked for it: the first frame is the function that made the system call.
    pub in_kernel: bool,
    /// Addresses, innermost first. The first is where the thread was, the others where callers go on.
    pub frames: &'a [usize],
}

impl<'a> From<&'a Slot> for Stack<'a> {
    fn from(slot: &'a Slot) -> Stack<'a> {
        let Slot { thread, weight, in_kernel, depth, ref frames } = *slot;
        Stack { thread, weight, in_kernel, frames: &frames[..depth] }
    }
}

/// Samples every thread of this process while it lives. There is one at a time.
#[derive(Debug)]
pub struct Sampler {
    timers: HashMap<i32, Timer>,
    period: Duration,
    /// Samples are read by one thread at a time.
    _one_reader: PhantomData<Cell<()>>,
}

impl Sampler {
    /// Begins: from now on each thread is sampled when it has run for another `period`. Threads that are made later are
    /// sampled from the next [`Sampler::follow`] on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] while there is another; the kernel's.
    pub fn start(period: Duration) -> io::Result<Sampler> {
        let mut sampler = Sampler::take_over(period)?;
        ACTIVE.store(true, Ordering::Release);
        sampler.follow()?;
        Ok(sampler)
    }

    fn take_over(period: Duration) -> io::Result<Sampler> {
        if TAKEN.swap(true, Ordering::Acquire) {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another profile is being taken"));
        }
        let sampler = Sampler { timers: HashMap::new(), period, _one_reader: PhantomData };
        let slots = SLOTS.get_or_init(Slots::new);
        // What a handler left behind the end of the last one.
        slots.take(|_| {});
        slots.take_lost();
        install()?;
        Ok(sampler)
    }

    /// Looks for threads that were made since, and forgets those that ended.
    ///
    /// # Errors
    ///
    /// The kernel's, when it does not list threads or gives no timer.
    pub fn follow(&mut self) -> io::Result<()> {
        let threads = threads()?;
        self.timers.retain(|thread, _| threads.contains(thread));
        for thread in threads {
            if let std::collections::hash_map::Entry::Vacant(vacant) = self.timers.entry(thread) {
                match Timer::start(thread, self.period) {
                    Ok(timer) => drop(vacant.insert(timer)),
                    // It ended in between.
                    Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                    Err(error) => {
                        let why = format!("the kernel gives no timer for thread {thread}: {error}");
                        return Err(io::Error::new(error.kind(), why));
                    }
                }
            }
        }
        Ok(())
    }

    /// Shows the samples since the last time. Ten times a second is often enough.
    pub fn take(&mut self, mut show: impl FnMut(Stack<'_>)) {
        if let Some(slots) = SLOTS.get() {
            slots.take(|slot| show(slot.into()));
        }
    }

    /// Samples since the last time that nobody read soon enough.
    pub fn take_lost(&mut self) -> u64 {
        SLOTS.get().map_or(0, Slots::take_lost)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        ACTIVE.store(false, Ordering::Release);
        self.timers.clear();
        TAKEN.store(false, Ordering::Release);
    }
}

/// Asks every thread of this process where it is, once. A thread that waits in a system call is interrupted, as by any
/// signal.
#[derive(Debug)]
pub struct Snapshot {
    sampler: Sampler,
    awaited: Vec<i32>,
}

impl Snapshot {
    /// Asks.
    ///
    /// # Errors
    ///
    /// As [`Sampler::start`].
    pub fn start() -> io::Result<Snapshot> {
        let sampler = Sampler::take_over(Duration::MAX)?;
        let awaited = threads()?;
        ACTIVE.store(true, Ordering::Release);
        for thread in &awaited {
            // SAFETY: it sends a signal that has a handler to a thread of ours, or to none.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), *thread, libc::SIGPROF) };
        }
        Ok(Snapshot { sampler, awaited })
    }

    /// Shows the answers since the last time. Gives the threads that have not answered: such as the kernel holds, or that
    /// ended.
    pub fn take(&mut self, mut show: impl FnMut(Stack<'_>)) -> &[i32] {
        let Snapshot { sampler, awaited } = self;
        sampler.take(|stack| {
            // Others are late signals of a profile that ended.
            if let Some(at) = awaited.iter().position(|thread| *thread == stack.thread) {
                awaited.swap_remove(at);
                show(stack);
            }
        });
        awaited
    }
}

/// Lets threads that serve viewers go before the calling one, for as long as it lives.
pub fn yield_to_others() {
    // SAFETY: it changes the priority of a thread of ours.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, libc::gettid() as libc::id_t, 10) };
}

/// A timer of one thread's CPU time, which signals that thread.
#[derive(Debug)]
struct Timer(libc::timer_t);

// SAFETY: a timer's id is a number of the process, whatever its type.
unsafe impl Send for Timer {}
// SAFETY: as above.
unsafe impl Sync for Timer {}

impl Timer {
    fn start(thread: i32, period: Duration) -> io::Result<Timer> {
        // SAFETY: zeroes are a valid event.
        let mut event: libc::sigevent = unsafe { zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGPROF;
        event.sigev_notify_thread_id = thread;
        let mut timer = null_mut();
        // SAFETY: both pointers are to locals that live until the call is over.
        if unsafe { libc::timer_create(cpu_clock(thread), &mut event, &mut timer) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let timer = Timer(timer);
        let spec = |time: Duration| libc::timespec {
            tv_sec: time.as_secs() as libc::time_t,
            tv_nsec: time.subsec_nanos() as libc::c_long,
        };
        let times =
            libc::itimerspec { it_interval: spec(period), it_value: spec(first_sample(thread, period)) };
        // SAFETY: the timer is ours, `times` lives until the call is over, the old times are not asked for.
        match unsafe { libc::timer_settime(timer.0, 0, &times, null_mut()) } {
            0 => Ok(timer),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// When a thread is sampled first: anywhere in its first period, evenly over the threads. One that uses less than a period
/// in all would never be seen otherwise, and a server of many cameras is many of those.
fn first_sample(thread: i32, period: Duration) -> Duration {
    // Numbers of threads follow each other; steps by the golden ratio fill the period evenly (Knuth, TAOCP 3, §6.4).
    let part = (thread as u32).wrapping_mul(0x9e37_79b9);
    let nanos = period.as_nanos() as u64;
    Duration::from_nanos((nanos.saturating_mul(u64::from(part >> 16)) >> 16).clamp(1, nanos.max(1)))
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody names it afterwards.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// Numbers of this process's threads.
fn threads() -> io::Result<Vec<i32>> {
    let entries = std::fs::read_dir("/proc/self/task")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// Installs the handler, once.
fn install() -> io::Result<()> {
    static ONCE: Once = Once::new();
    let mut done = Ok(());
    ONCE.call_once(|| {
        // SAFETY: zeroes are a valid action.
        let mut action: libc::sigaction = unsafe { zeroed() };
        action.sa_sigaction = handle as *const () as usize;
        // On the thread's signal stack where it has one, so that a thread near the end of its stack can be sampled.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        // SAFETY: the handler is safe to call at any time, and `action` lives until the call is over.
        if unsafe { libc::sigaction(libc::SIGPROF, &action, null_mut()) } != 0 {
            done = Err(io::Error::last_os_error());
        }
    });
    done
}

/// What a thread does when its timer ends: it writes down where it is. Only system calls and atomics.
extern "C" fn handle(_signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    if !ACTIVE.load(Ordering::Acquire) {
        return;
    }
    let Some(slots) = SLOTS.get() else { return };
    // SAFETY: the location is the thread's own.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above. What was interrupted may be about to read it.
    let before = unsafe { *errno };
    // SAFETY: the kernel made both for this call.
    let (registers, missed) = unsafe { (Registers::of(context), overrun(info)) };
    slots.put(|slot| {
        // SAFETY: it only asks.
        slot.thread = unsafe { libc::gettid() };
        slot.weight = 1 + missed;
        slot.in_kernel = registers.is_in_kernel();
        slot.frames[0] = registers.pc;
        slot.depth = 1 + callers(registers, &mut slot.frames[1..]);
    });
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// How often the timer ended meanwhile without a signal: the thread was in the kernel, which delivers them behind it.
///
/// # Safety
///
/// `info` is the kernel's.
unsafe fn overrun(info: *const libc::siginfo_t) -> u32 {
    // SAFETY: the caller's promise.
    let info = unsafe { &*info };
    // SAFETY: a timer's signal has that part.
    if info.si_code == libc::SI_TIMER { unsafe { info.si_overrun() }.max(0) as u32 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_use_less_than_a_period_are_sampled_as_often_as_their_time_says() {
        let period = Duration::from_millis(10);
        for first in [1, 1_000, 4_000_000] {
            let firsts: Vec<Duration> =
                (first..first + 200).map(|thread| first_sample(thread, period)).collect();
            assert!(firsts.iter().all(|first| !first.is_zero() && *first <= period));
            // Of threads that use a quarter of a period each, a quarter has a sample.
            let sampled = firsts.iter().filter(|first| **first <= period / 4).count();
            assert!((45..=55).contains(&sampled), "{sampled} of 200");
        }
    }
}
