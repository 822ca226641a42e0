//! The variables of this process, and the credentials that its service manager hands it as files of the same names: a
//! password in a variable can be read by whoever may look at the unit, one in a credential by the service alone.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::resolve::PREFIX;

/// Where the files are (systemd.exec(5), "Credentials").
const FOLDER: &str = "CREDENTIALS_DIRECTORY";

/// The largest credential that is read. No value is near it.
const CREDENTIAL_MAX: u64 = 64 << 10;

/// A credential that is there and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the credential {path} cannot be read: {source}")]
pub struct CredentialError {
    path: PathBuf,
    source: io::Error,
}

/// The `SLUICE_*` variables of this process and its credentials of such names, which win; sorted by name. Bytes that are
/// not UTF-8 become U+FFFD, which no key takes.
///
/// # Errors
/// A credential that cannot be read.
pub fn environment() -> Result<Vec<(String, String)>, CredentialError> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    let mut ours: BTreeMap<String, String> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    if let Some(folder) = std::env::var_os(FOLDER) {
        ours.extend(credentials(Path::new(&folder))?);
    }
    Ok(ours.into_iter().collect())
}

/// The files of a folder whose names begin as our variables do, each without the line end behind its text. A folder that
/// is not there has none.
fn credentials(folder: &Path) -> Result<Vec<(String, String)>, CredentialError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CredentialError { path, source }
    };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed(folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed(folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if !name.starts_with(PREFIX) {
            continue;
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path).map_err(failed(&path))?;
        file.take(CREDENTIAL_MAX).read_to_end(&mut bytes).map_err(failed(&path))?;
        let value = String::from_utf8_lossy(&bytes);
        found.push((name.to_owned(), value.trim_end_matches(['\r', '\n']).to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("sluice-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&folder).expect("a folder");
            Folder(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_credential_is_a_variable_without_its_line_end() {
        let folder = Folder::new("credentials");
        let write = |name: &str, text: &str| std::fs::write(folder.0.join(name), text).expect("a file");
        write("SLUICE_STREAMS_GATE_SOURCE", "rtsp://u:p@h/x\n");
        write("SLUICE_LOG_LEVEL", " debug");
        write("key.pem", "of somebody else");
        let mut found = credentials(&folder.0).expect("credentials");
        found.sort();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let wanted =
            [pair("SLUICE_LOG_LEVEL", " debug"), pair("SLUICE_STREAMS_GATE_SOURCE", "rtsp://u:p@h/x")];
        assert_eq!(found, wanted);
        assert!(credentials(&folder.0.join("not there")).expect("none").is_empty());
    }

    #[test]
    fn one_that_cannot_be_read_is_named() {
        let folder = Folder::new("unreadable");
        // A folder where a file should be, which nobody can read, root neither.
        std::fs::create_dir(folder.0.join("SLUICE_LOG_LEVEL")).expect("a folder");
        let error = credentials(&folder.0).expect_err("unreadable").to_string();
        assert!(error.contains("SLUICE_LOG_LEVEL cannot be read: "), "{error}");
    }
}
