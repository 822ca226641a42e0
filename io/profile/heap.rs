//! Samples of the heap: one allocation in 512 KiB, with the stack that made it.
//!
//! Owns the talk with jemalloc, which is the allocator of the `sluice` program. Built as `.cargo/config.toml` says it can
//! sample and does not; its own unwinder, which takes locks of the linker, is replaced by our walk along frame pointers.

use std::ffi::{CStr, c_char, c_void};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::ptr::{from_mut, null_mut};

use super::stack::{Registers, callers};

/// Bytes between samples in the mean, unless `_RJEM_MALLOC_CONF` says otherwise.
const LG_SAMPLE: &CStr = c"opt.lg_prof_sample";

/// Whether this process can sample its heap at all: the allocator was built and started for it.
pub fn is_able() -> bool {
    read::<bool>(c"opt.prof").unwrap_or(false)
}

/// Whether the heap is sampled now.
pub fn is_active() -> bool {
    read::<bool>(c"prof.active").unwrap_or(false)
}

/// Begins or ends the sampling. What was allocated before a beginning is in no sample; samples stay when it ends, until
/// the next beginning.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] unless [`is_able`].
pub fn set_active(active: bool) -> io::Result<()> {
    if !is_able() {
        let why =
            "the allocator of this build cannot sample the heap: build it where .cargo/config.toml is read";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    if active && !is_active() {
        let hook: Hook = backtrace;
        write(c"experimental.hooks.prof_backtrace", hook)?;
        command(c"prof.reset")?;
    }
    write(c"prof.active", active)
}

/// Bytes between samples in the mean.
pub fn sample_interval() -> u64 {
    1 << read::<usize>(LG_SAMPLE).unwrap_or(19).min(63)
}

/// The samples, in jemalloc's own text (`heap_v2`).
///
/// # Errors
///
/// The kernel's and the allocator's.
pub fn dump() -> io::Result<String> {
    // A file without a place on a disk, so that no folder has to be writable.
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"heap".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and ours.
    let mut file = unsafe { File::from_raw_fd(fd) };
    let path = format!("/proc/self/fd/{}\0", file.as_raw_fd());
    let path = CStr::from_bytes_with_nul(path.as_bytes()).map_err(io::Error::other)?;
    write::<*const c_char>(c"prof.dump", path.as_ptr())?;
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Gives the kernel what this thread's part of the allocator holds and nobody uses: what a profile took for a moment
/// would otherwise stay until somebody allocates there again. Nothing happens where the allocator is another one.
pub fn give_back() {
    let Ok(arena) = read::<u32>(c"thread.arena") else { return };
    // A number has no zero byte.
    let name = std::ffi::CString::new(format!("arena.{arena}.purge")).unwrap_or_default();
    let _ = command(c"thread.tcache.flush").and_then(|()| command(&name));
}

type Hook = unsafe extern "C" fn(*mut *mut c_void, *mut u32, u32);

/// What the allocator asks for the stack of an allocation that it samples.
///
/// # Safety
///
/// `frames` has room for `max`, and `count` is to be written.
unsafe extern "C" fn backtrace(frames: *mut *mut c_void, count: *mut u32, max: u32) {
    // SAFETY: the caller's promise; an address is as good a pointer as another.
    let frames = unsafe { std::slice::from_raw_parts_mut(frames.cast::<usize>(), max as usize) };
    let depth = callers(Registers::here(), frames);
    // SAFETY: as above.
    unsafe { *count = depth as u32 };
}

fn read<T: Copy + Default>(name: &CStr) -> io::Result<T> {
    let mut value = T::default();
    let mut size = size_of::<T>();
    // SAFETY: jemalloc writes `size` bytes at the most, and refuses a size that is not the value's own.
    let error = unsafe {
        tikv_jemalloc_sys::mallctl(name.as_ptr(), from_mut(&mut value).cast(), &mut size, null_mut(), 0)
    };
    judge(name, error).map(|()| value)
}

fn write<T: Copy>(name: &CStr, mut value: T) -> io::Result<()> {
    let value = from_mut(&mut value).cast();
    // SAFETY: jemalloc reads a value of this size, and refuses a size that is not the value's own.
    let error =
        unsafe { tikv_jemalloc_sys::mallctl(name.as_ptr(), null_mut(), null_mut(), value, size_of::<T>()) };
    judge(name, error)
}

/// Has the allocator do something that takes no value.
fn command(name: &CStr) -> io::Result<()> {
    // SAFETY: nothing is read or written.
    let error = unsafe { tikv_jemalloc_sys::mallctl(name.as_ptr(), null_mut(), null_mut(), null_mut(), 0) };
    judge(name, error)
}

fn judge(name: &CStr, error: i32) -> io::Result<()> {
    match error {
        0 => Ok(()),
        error => {
            let error = io::Error::from_raw_os_error(error);
            Err(io::Error::new(error.kind(), format!("the allocator refuses {name:?}: {error}")))
        }
    }
}
