//! A password that the server of every test has, of a user without a right and of cameras that do not ask for one.
//!
//! Owns that it is never seen: whatever the harness reads of a server is searched for it, and a test that reads it fails.

use std::sync::LazyLock;

/// The password. Long and strange, so that nothing else is it. Neither it nor its user is called a canary: tests look for
/// that word of their own.
const PASSWORD: &str = "w4tchb1rd-7f3e91d05b";

/// The variable that gives it to a server: no argument, which `ps` would show.
pub(crate) const VARIABLE: (&str, &str) = ("SLUICE_ACCESS_USERS_WATCHBIRD_PASSWORD", PASSWORD);

/// What it looks like: as it is, and as HTTP Basic sends it behind its name.
static FORMS: LazyLock<[String; 2]> = LazyLock::new(|| {
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("watchbird:{PASSWORD}"));
    [PASSWORD.to_owned(), basic]
});

/// A URL with it, for a camera that does not ask.
pub(crate) fn with_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) if !rest.contains('@') => format!("{scheme}://watchbird:{PASSWORD}@{rest}"),
        _ => url.to_owned(),
    }
}

/// It is not in what was read of `what`.
#[track_caller]
pub fn assert_unseen(what: &str, bytes: &[u8]) {
    for form in FORMS.iter() {
        let form = form.as_bytes();
        let seen = bytes.windows(form.len()).position(|window| window == form);
        if let Some(at) = seen {
            let around = &bytes[at.saturating_sub(200)..bytes.len().min(at + 200)];
            panic!("{what} shows a password: {}", String::from_utf8_lossy(around));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_in_both_forms_and_nowhere_else() {
        let url = with_credentials("rtsp://127.0.0.1:8554/cam1");
        assert_eq!(url, format!("rtsp://watchbird:{PASSWORD}@127.0.0.1:8554/cam1"));
        assert_eq!(with_credentials(&url), url);
        assert_unseen("an innocent text", b"watchbird and its password");
        for text in [url, format!("Authorization: Basic {}", FORMS[1])] {
            let caught = std::panic::catch_unwind(|| assert_unseen("a log", text.as_bytes()));
            assert!(caught.is_err(), "{text}");
        }
    }
}
