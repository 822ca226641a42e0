//! The walk from a function to its callers along frame pointers.
//!
//! Owns reading memory that may not be there. It takes no lock and allocates nothing, so it may run in a signal handler
//! and inside the allocator. Every frame is read by the kernel (`process_vm_readv` of ourselves), which answers EFAULT
//! where a plain load would end the process: code without frame pointers (libc, assembly) leaves anything in that
//! register.

use std::ffi::c_void;

/// Frames of a stack at the most, from the innermost. Raising it makes [`super::Stack`] larger.
pub const DEPTH_MAX: usize = 96;

/// Bytes of stack between the first frame and the last. A frame pointer beyond points to no stack of ours.
const STACK_MAX: usize = 16 << 20;

/// Where a thread is: what a walk begins with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registers {
    pub(crate) pc: usize,
    pub(crate) sp: usize,
    pub(crate) fp: usize,
}

impl Registers {
    /// Of the code that a signal interrupted; `context` is the third argument of its handler.
    ///
    /// # Safety
    ///
    /// `context` points to the `ucontext_t` that the kernel made for this signal.
    #[cfg(target_arch = "x86_64")]
    pub(crate) unsafe fn of(context: *const c_void) -> Registers {
        // SAFETY: the caller's promise.
        let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        let of = |register: i32| registers[register as usize] as usize;
        Registers { pc: of(libc::REG_RIP), sp: of(libc::REG_RSP), fp: of(libc::REG_RBP) }
    }

    /// As above.
    ///
    /// # Safety
    ///
    /// `context` points to the `ucontext_t` that the kernel made for this signal.
    #[cfg(target_arch = "aarch64")]
    pub(crate) unsafe fn of(context: *const c_void) -> Registers {
        // SAFETY: the caller's promise.
        let machine = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
        Registers { pc: machine.pc as usize, sp: machine.sp as usize, fp: machine.regs[29] as usize }
    }

    /// Of the function that this is inlined into.
    #[inline(always)]
    pub(crate) fn here() -> Registers {
        let fp: usize;
        // SAFETY: it reads a register.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            std::arch::asm!("mov {}, rbp", out(reg) fp, options(nomem, nostack, preserves_flags));
        }
        // SAFETY: it reads a register.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            std::arch::asm!("mov {}, x29", out(reg) fp, options(nomem, nostack, preserves_flags));
        }
        Registers { pc: 0, sp: fp, fp }
    }

    /// Whether the thread stands at a system call, so that its time was the kernel's. The program counter is behind the
    /// instruction, or at it when the call is to be made again.
    pub(crate) fn is_in_kernel(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        const CALL: [u8; 2] = [0x0f, 0x05];
        #[cfg(target_arch = "aarch64")]
        const CALL: [u8; 4] = 0xd400_0001_u32.to_le_bytes();
        let is_call = |at| read(at).is_some_and(|code: [u8; CALL.len()]| code == CALL);
        is_call(self.pc.wrapping_sub(CALL.len())) || is_call(self.pc)
    }
}

/// Writes the addresses that `from`'s callers go on at, innermost first, into `frames`; gives how many there are.
pub(crate) fn callers(from: Registers, frames: &mut [usize]) -> usize {
    let (mut fp, mut least, mut depth) = (from.fp, from.sp, 0);
    while depth < frames.len() && fp >= least && fp - from.sp < STACK_MAX && fp.is_multiple_of(8) {
        // Frame record, on both architectures: the caller's frame pointer, then the return address.
        let Some([next, back]) = read::<[usize; 2]>(fp) else { break };
        if back < 4096 {
            break;
        }
        frames[depth] = back;
        depth += 1;
        // Stacks grow down: a caller's frame is above.
        (least, fp) = (fp + 16, next);
    }
    depth
}

/// A value at an address of this process, if it is there.
fn read<T: Copy + Default>(at: usize) -> Option<T> {
    let mut value = T::default();
    let local = libc::iovec { iov_base: (&raw mut value).cast(), iov_len: size_of::<T>() };
    let remote = libc::iovec { iov_base: at as *mut c_void, iov_len: size_of::<T>() };
    // SAFETY: `local` is `value`, which lives until the call is over and may hold any bytes (integers and arrays of
    // them); `remote` is read by the kernel, which checks it.
    let count = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    (count == size_of::<T>() as isize).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn inner(frames: &mut [usize]) -> usize {
        std::hint::black_box(callers(Registers::here(), frames))
    }

    #[inline(never)]
    fn outer(frames: &mut [usize]) -> usize {
        std::hint::black_box(inner(frames))
    }

    #[test]
    fn callers_come_innermost_first() {
        let mut frames = [0; DEPTH_MAX];
        let depth = outer(&mut frames);
        assert!(depth >= 3, "{depth}");
        // The caller goes on shortly behind its beginning.
        let at = outer as *const () as usize;
        assert!(
            (at..at + 512).contains(&frames[0]) || (at..at + 512).contains(&frames[1]),
            "{frames:x?} {at:x}"
        );
    }

    #[test]
    fn a_frame_pointer_that_points_nowhere_ends_the_walk() {
        let mut frames = [0; 8];
        let sp = (&raw const frames) as usize & !7;
        for fp in [0, 8, sp - 8, sp + 1, usize::MAX - 7, sp + STACK_MAX] {
            assert_eq!(callers(Registers { pc: 0, sp, fp }, &mut frames), 0, "{fp:x}");
        }
    }

    #[test]
    fn a_frame_that_points_to_itself_is_left() {
        let mut stack = [0_usize; 16];
        let at = (&raw const stack) as usize;
        stack[0] = at;
        stack[1] = 0x1234_5678;
        let stack = std::hint::black_box(stack);
        let at = (&raw const stack) as usize;
        let mut frames = [0; 8];
        assert!(callers(Registers { pc: 0, sp: at, fp: at }, &mut frames) <= 1);
    }
}
