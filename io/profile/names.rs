//! Functions of libc that its symbol table does not name.
//!
//! libc has several of each for different processors and chooses at start (`STT_GNU_IFUNC`). The table names the choosing
//! and not the chosen, and packets are copied by the chosen.

/// What is chosen at start, as far as it takes time.
const CHOSEN: [&std::ffi::CStr; 8] =
    [c"memmove", c"memcpy", c"memset", c"memcmp", c"memchr", c"memrchr", c"strlen", c"strchr"];

/// Where functions begin that libc chose at its start, by address. What lies shortly behind one, and has no name of its
/// own, is it.
pub fn libc_entries() -> Vec<(usize, &'static str)> {
    let address = |name: &std::ffi::CStr| {
        // SAFETY: the name is a C string; the answer is an address or null.
        unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }.addr()
    };
    let mut entries: Vec<_> =
        CHOSEN.iter().filter_map(|name| Some((address(name), name.to_str().ok()?))).collect();
    entries.retain(|(address, _)| *address != 0);
    entries.sort_by_key(|(address, _)| *address);
    // Some are two names of one; the first is as good.
    entries.dedup_by_key(|(address, _)| *address);
    entries
}
