//! The file: which one, and its text.

use std::{
    io::{ErrorKind, Read},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use super::ends;
use crate::{ConfigError, error::Problem};

/// The largest file read. Ten thousand streams fit; `/dev/zero` does not.
const FILE_MAX: u64 = 4 << 20;

/// A file to read, or one that was read already.
#[derive(Clone)]
pub enum File {
    /// At most 4 MiB of UTF-8.
    Path(PathBuf),
    /// Its name is only shown.
    Text {
        /// For messages.
        name: String,
        /// TOML.
        text: String,
    },
}

impl File {
    /// The same file, with the text that it has now. The name that is shown stays.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read(self) -> Result<File, ConfigError> {
        let (name, text) = self.content().map_err(|problem| ConfigError::new(vec![problem]))?;
        Ok(File::Text { name, text })
    }

    /// Name and text.
    pub(super) fn content(self) -> Result<(String, String), Problem> {
        match self {
            File::Text { name, text } => Ok((name, text)),
            File::Path(path) => match read(&path) {
                Ok(text) => Ok((path.display().to_string(), text)),
                Err((why, way_out)) => {
                    let problem = Problem::new(format!("cannot read `{}`: {why}", path.display()));
                    Err(problem.help(way_out.to_owned()))
                }
            },
        }
    }
}

/// The text of a file, or why there is none and the way out.
fn read(path: &Path) -> Result<String, (String, &'static str)> {
    let unreadable = |error: std::io::Error| {
        let way_out = match error.kind() {
            ErrorKind::NotFound => {
                "-c names the file itself; without -c Sluice serves a demo, or NAME=URL of the command line"
            }
            ErrorKind::IsADirectory => "name the file in it, as in -c /etc/sluice/sluice.toml",
            ErrorKind::PermissionDenied => "let the user read it that Sluice runs as",
            ErrorKind::InvalidInput | ErrorKind::NotADirectory => "name another file",
            // No word of the standard library is for these two (ENFILE, EMFILE).
            _ if matches!(error.raw_os_error(), Some(23 | 24)) => {
                "let more files be open: LimitNOFILE= in the unit, `ulimit -n` in a shell, fs.file-max of the machine"
            }
            _ => "look at the disk that it is on, and try again",
        };
        (error.to_string(), way_out)
    };
    let kind = std::fs::metadata(path).map_err(unreadable)?.file_type();
    // One without a writer would keep us for ever, and `-c <(command)` has one.
    if kind.is_fifo() && !path.starts_with("/dev/fd") && !path.starts_with("/proc") {
        return Err((
            "it is a pipe".to_owned(),
            "give a regular file, or /dev/stdin for what another command writes",
        ));
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let other = "this is not a configuration: name another file";
    if bytes.len() as u64 > FILE_MAX {
        return Err((format!("it is larger than {}", crate::Bytes::new(FILE_MAX)), other));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = ends(&error.as_bytes()[..error.utf8_error().valid_up_to()]) + 1;
        (format!("line {line} is not UTF-8"), "save it as UTF-8")
    })
}
