//! A file written anew: whoever reads it finds the old text or the new one, whole, whenever the power fails.
//!
//! Owns the order (a file beside it, flushed, renamed, and its folder flushed), and that owner, group and mode stay. A
//! symbolic link stays one: what it leads to is written. A shell: it waits for the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

/// Why a file was not written; it is as it was.
#[derive(Debug, thiserror::Error)]
pub(super) enum RewriteError {
    /// Somebody else has written it.
    #[error("{} has changed since it was read: reload it first, then try again", .0.display())]
    Changed(PathBuf),
    /// It is a pipe, a device or a folder.
    #[error("{} is no regular file, so it cannot be written anew", .0.display())]
    NoFile(PathBuf),
    /// It, or its folder, cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The kernel's word.
        source: io::Error,
    },
}

/// Writes `new` to the file at `path`, which holds `old`.
pub(super) fn rewrite(path: &Path, old: &str, new: &str) -> Result<(), RewriteError> {
    let failed = |source| RewriteError::Io { path: path.to_owned(), source };
    let target = fs::canonicalize(path).map_err(failed)?;
    // A pipe would keep its reader for ever, and all changes behind it.
    if !fs::metadata(&target).map_err(failed)?.is_file() {
        return Err(RewriteError::NoFile(path.to_owned()));
    }
    let folder = target.parent().unwrap_or(Path::new("/"));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{:08x}", rand::random::<u32>()));
    let written = write_beside(&target, &beside, new).map_err(failed).and_then(|()| {
        // As late as can be; what is written by somebody between here and the next line is lost.
        if fs::read(&target).map_err(failed)? != old.as_bytes() {
            return Err(RewriteError::Changed(path.to_owned()));
        }
        fs::rename(&beside, &target).map_err(failed)
    });
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// The new text in a file of its own, with the owner, group and mode of the old one.
fn write_beside(target: &Path, beside: &Path, text: &str) -> io::Result<()> {
    let old = fs::metadata(target)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    file.write_all(text.as_bytes())?;
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(&file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder, removed with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Folder {
            let folder = std::env::temp_dir().join(format!("sluice-rewrite-{}", rand::random::<u64>()));
            fs::create_dir(&folder).expect("a folder");
            Folder(folder)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).expect("a folder");
            let mut names: Vec<String> = entries
                .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn mode_and_links_stay_and_nothing_is_left_beside() {
        let folder = Folder::new();
        let (file, link) = (folder.0.join("real.toml"), folder.0.join("link.toml"));
        fs::write(&file, "old").expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
        std::os::unix::fs::symlink("real.toml", &link).expect("a link");
        rewrite(&link, "old", "new").expect("written");
        assert_eq!(fs::read_to_string(&file).expect("text"), "new");
        assert_eq!(fs::metadata(&file).expect("a file").mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert_eq!(folder.names(), ["link.toml", "real.toml"]);
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_is_not_written_over() {
        let folder = Folder::new();
        let file = folder.0.join("a.toml");
        fs::write(&file, "theirs").expect("a file");
        let refused = rewrite(&file, "old", "new").expect_err("it has changed");
        assert!(refused.to_string().contains("reload it first"), "{refused}");
        assert_eq!(fs::read_to_string(&file).expect("text"), "theirs");
        assert_eq!(folder.names(), ["a.toml"]);
        let gone = rewrite(&folder.0.join("gone.toml"), "old", "new").expect_err("it is not there");
        assert!(gone.to_string().contains("gone.toml cannot be written"), "{gone}");
    }

    #[test]
    fn a_pipe_is_refused_at_once_and_nothing_is_left_beside() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = Folder::new();
        let pipe = folder.0.join("a.toml");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        let refused = rewrite(&pipe, "old", "new").expect_err("it is no file");
        assert!(refused.to_string().contains("no regular file"), "{refused}");
        assert_eq!(folder.names(), ["a.toml"]);
    }
}
