//! Whose an inlined function is, by the file that it is in.
//!
//! Owns one guess. The debug lines of this build name an inlined function without its module (`poll`, `{closure#0}`); more
//! of them would double their size. Rust's modules are files, so the file says the rest.

/// `tokio::runtime::context::enter` of `enter<F, R>` in `.../tokio-1.54.1/src/runtime/context.rs`. A name that has its path,
/// and one in a file that is not Rust's, stay as they are.
pub(super) fn qualified(name: &str, file: &str) -> String {
    let Some(path) = file.strip_suffix(".rs") else { return name.to_owned() };
    // What stands behind the name are the types that it was made for.
    let name = match name.find('<') {
        Some(at @ 1..) => &name[..at],
        _ => name,
    };
    if name.contains("::") || name.starts_with('<') {
        return name.to_owned();
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    let found = parts.iter().rposition(|part| *part == "src").filter(|at| *at > 0);
    let krate = match found {
        Some(at) => {
            let folder = parts[at - 1];
            parts.drain(..=at);
            // Of the registry `tokio-1.54.1`, of the standard library `core`; ours is in a folder of any name.
            let version =
                folder.rfind('-').filter(|at| folder[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
            match version {
                Some(at) => folder[..at].replace('-', "_"),
                None if path.contains("/library/") => folder.replace('-', "_"),
                None => "sluice".to_owned(),
            }
        }
        None => {
            // `io/batch.rs` is in the crate `sluice_io`.
            let Some(at) = parts.iter().rposition(|part| matches!(*part, "io" | "config")) else {
                return name.to_owned();
            };
            let folder = parts[at];
            parts.drain(..=at);
            format!("sluice_{folder}")
        }
    };
    if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
        parts.pop();
    }
    [vec![krate.as_str()], parts, vec![name]].concat().join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_gets_the_module_of_its_file() {
        for (name, file, expected) in [
            (
                "handle_train",
                "/home/me/sluice/src/viewer/forward.rs",
                "sluice::viewer::forward::handle_train",
            ),
            ("{closure#0}<alloc::vec::Vec<u8>>", "/work/src/shard/mod.rs", "sluice::shard::{closure#0}"),
            (
                "set<F, R>",
                "/c/registry/src/i-1949/tokio-1.54.1/src/runtime/context.rs",
                "tokio::runtime::context::set",
            ),
            ("get", "/c/crossbeam-channel-0.5.17/src/lib.rs", "crossbeam_channel::get"),
            ("eq", "/rustc/5980/library/core/src/cmp.rs", "core::cmp::eq"),
            ("write", "/work/io/mmsg.rs", "sluice_io::mmsg::write"),
            ("callers", "io/profile/stack.rs", "sluice_io::profile::stack::callers"),
            ("f", "elsewhere/x.rs", "f"),
            ("core::cmp::max", "/rustc/5980/library/core/src/cmp.rs", "core::cmp::max"),
            (
                "<T as core::any::Any>::type_id",
                "/rustc/5980/library/core/src/any.rs",
                "<T as core::any::Any>::type_id",
            ),
            ("OPENSSL_memcpy", "/c/aws-lc/crypto/internal.h", "OPENSSL_memcpy"),
            ("start_thread", "", "start_thread"),
        ] {
            assert_eq!(qualified(name, file), expected);
        }
    }
}
