//! `config.watch`: the file is read again when it changes, however it is written.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sluice_harness::{Request, Sluice, wait_for};

use crate::{SLUICE, names, streams};

/// A folder, removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(std::env::temp_dir().join(format!("sluice-watch-{}", rand::random::<u64>())));
        std::fs::create_dir(&folder.0).expect("a folder");
        folder
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("the file is written");
        path
    }

    fn link(&self, to: &str, name: &str) {
        // As Kubernetes does it: a new link, renamed over the old one.
        symlink(to, self.0.join("new")).expect("a link");
        std::fs::rename(self.0.join("new"), self.0.join(name)).expect("a link in place");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn watched(names: &[&str]) -> String {
    let demos: Vec<(&str, &str)> = names.iter().map(|name| (*name, "demo")).collect();
    format!("[config]\nwatch = true\n{}", streams(&demos))
}

fn serve(path: &Path) -> Sluice {
    SLUICE.start(&["-c", path.to_str().expect("a path")])
}

fn wait_for_streams(sluice: &Sluice, expected: &[&str]) {
    wait_for(&format!("{expected:?}"), || (names(sluice) == expected).then_some(()));
}

#[test]
fn a_file_that_is_written_or_renamed_into_place_is_read_again() {
    let folder = Folder::new();
    let path = folder.write("a.toml", &watched(&["a"]));
    let sluice = serve(&path);
    folder.write("a.toml", &watched(&["a", "b"]));
    wait_for_streams(&sluice, &["a", "b"]);
    let beside = folder.write("a.toml~", &watched(&["a", "c"]));
    std::fs::rename(beside, &path).expect("it is renamed");
    wait_for_streams(&sluice, &["a", "c"]);
    // As some editors do: the old one goes away first.
    std::fs::rename(&path, folder.0.join("old")).expect("it is renamed");
    folder.write("a.toml", &watched(&["a", "d"]));
    wait_for_streams(&sluice, &["a", "d"]);
    // What is switched off there is off from then on.
    folder.write("a.toml", &streams(&[("e", "demo")]));
    wait_for_streams(&sluice, &["e"]);
    folder.write("a.toml", &streams(&[("f", "demo")]));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(names(&sluice), ["e"]);
}

#[test]
fn links_that_are_swapped_on_the_way_to_it_are_seen() {
    let folder = Folder::new();
    folder.write("..1/a.toml", &watched(&["a"]));
    folder.write("..2/a.toml", &watched(&["b"]));
    folder.write("elsewhere/a.toml", &watched(&["c"]));
    folder.link("..1", "..data");
    folder.link("..data/a.toml", "a.toml");
    let sluice = serve(&folder.0.join("a.toml"));
    folder.link("..2", "..data");
    wait_for_streams(&sluice, &["b"]);
    std::fs::remove_dir_all(folder.0.join("..1")).expect("it is there");
    folder.link("elsewhere", "..data");
    wait_for_streams(&sluice, &["c"]);
    folder.write("elsewhere/a.toml", &watched(&["d"]));
    wait_for_streams(&sluice, &["d"]);
}

#[test]
fn mistakes_are_said_once_and_the_old_configuration_stays() {
    let folder = Folder::new();
    let good = watched(&["a"]);
    let path = folder.write("a.toml", &good);
    let sluice = serve(&path);
    let wrong = format!("{good}[limits]\nviewrs = 7\n");
    for times in 0..3 {
        // The text is the same, and the file another one each time.
        let beside = folder.write(&format!("{times}"), &wrong);
        std::fs::rename(beside, &path).expect("it is renamed");
        sluice.wait_for_metric("sluice_config_last_reload_successful", "is 0", |good| good == 0.0);
        std::thread::sleep(Duration::from_millis(700));
    }
    assert_eq!(sluice.log().matches("nothing is changed").count(), 1, "{}", sluice.log());
    assert_eq!(names(&sluice), ["a"]);
    folder.write("a.toml", &good);
    sluice.wait_for_metric("sluice_config_last_reload_successful", "is 1", |good| good == 1.0);

    // What we write ourselves is no news.
    let before = sluice.log().len();
    let put = Request::new("PUT", "/api/v1/streams/b?keep=true").body(r#"{"source":"demo"}"#);
    assert_eq!(put.send(sluice.admin).status, 201);
    std::thread::sleep(Duration::from_secs(1));
    assert!(!sluice.log()[before..].contains("read again"), "{}", sluice.log());
    assert_eq!(names(&sluice), ["a", "b"]);
}

#[test]
fn a_watch_that_is_lost_is_told_and_told_again_when_it_is_lost_anew() {
    let folder = Folder::new();
    let path = folder.write("there/a.toml", &watched(&["a"]));
    let sluice = serve(&path);
    let losses = || sluice.log().matches("cannot be watched").count();
    let (there, away) = (folder.0.join("there"), folder.0.join("away"));
    for times in 1..=2 {
        let stream = format!("s{times}");
        folder.write("there/a.toml", &watched(&[&stream]));
        wait_for_streams(&sluice, &[&stream]);
        // As long as a pause between two tries: what is lost within it is the same loss.
        std::thread::sleep(Duration::from_secs(6));
        std::fs::rename(&there, &away).expect("it is renamed");
        // The folder that was watched is still there under another name: it is left when something in it changes.
        std::fs::write(away.join("a.toml"), "").expect("it is written");
        wait_for("the loss to be told", || (losses() == times).then_some(()));
        std::thread::sleep(Duration::from_secs(6));
        assert_eq!(losses(), times, "once each: {}", sluice.log());
        std::fs::rename(&away, &there).expect("it is renamed");
        wait_for("the return to be told", || {
            (sluice.log().matches("is watched again").count() == times).then_some(())
        });
    }
}
