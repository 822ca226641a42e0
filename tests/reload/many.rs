//! Sixty-four cameras, of which one comes, changes and goes in every way that there is: who watches the others loses nothing.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::json;
use sluice_harness::{Request, Sluice, wait_for};

use crate::{File, SLUICE, names};

/// Streams that nobody touches.
const OTHERS: usize = 63;

/// The ways by which a stream is what is wanted.
#[derive(Debug, Clone, Copy)]
enum Way {
    Watch,
    Signal,
    Api,
}

/// A film of five pictures a second with a keyframe each second, removed with the test.
struct Clip(String);

impl Clip {
    fn new() -> Clip {
        let path = std::env::temp_dir().join(format!("sluice-many-{}.mp4", rand::random::<u64>()));
        let path = path.to_str().expect("a path").to_owned();
        let film = ["-v", "warning", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=5:duration=4"];
        let coded = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "5", "-bf", "0", path.as_str()];
        let status = Command::new("ffmpeg").args(film).args(coded).status().expect("ffmpeg runs");
        assert!(status.success());
        Clip(path)
    }
}

impl Drop for Clip {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn configuration(others: &[String], one: Option<&str>) -> String {
    let mut text = "[config]\nwatch = true\n".to_owned();
    for (number, camera) in others.iter().enumerate() {
        let _ = writeln!(text, "[streams.cam{number}]\nsource = \"{camera}\"");
    }
    if let Some(camera) = one {
        let _ = writeln!(text, "[streams.one]\nsource = \"{camera}\"");
    }
    text
}

fn reads(sluice: &Sluice) -> usize {
    sluice.log().matches("the configuration was read again").count()
}

#[test]
fn of_sixty_four_cameras_one_comes_changes_and_goes_and_the_viewers_of_the_others_lose_nothing() {
    // Small pictures, and few: it is not throughput that is shown.
    let clip = Clip::new();
    let cameras = SLUICE.cameras(OTHERS + 2, &["--clip", &clip.0]);
    let (others, two) = cameras.urls.split_at(OTHERS);
    let file = File::new(&configuration(others, None));
    let path = file.0.to_str().expect("a path").to_owned();
    let sluice =
        SLUICE.start(&["-c", &path, "--set", "admin.sources=127.0.0.0/8", "--set", "log.level=info"]);
    sluice.wait_for_metric("sluice_streams{state=\"playing\"}", "is 63", |playing| playing == OTHERS as f64);
    let url = |number: usize| format!("http://{}/cam{number}/whep", sluice.http);
    let also: Vec<String> = (1..OTHERS).map(|number| format!("--also={}", url(number))).collect();
    let viewers = format!("--viewers={OTHERS}");
    let arguments = [viewers.as_str(), "--duration=25s", "--require=loss<=0", "--require=failed<1"];
    let arguments: Vec<&str> = arguments.into_iter().chain(also.iter().map(String::as_str)).collect();
    std::thread::scope(|scope| {
        let watched = scope.spawn(|| SLUICE.load(&url(0), &arguments));
        sluice.wait_for_metric("sluice_viewers", "is 63", |viewers| viewers == OTHERS as f64);
        for way in [Way::Watch, Way::Signal, Way::Api] {
            for camera in [Some(&two[0]), Some(&two[1]), None] {
                let before = reads(&sluice);
                match (way, camera) {
                    (Way::Api, Some(camera)) => {
                        let put = Request::new("PUT", "/api/v1/streams/one")
                            .body(json!({ "source": camera }).to_string());
                        assert!(put.send(sluice.admin).status < 300);
                    }
                    (Way::Api, None) => {
                        assert_eq!(
                            Request::new("DELETE", "/api/v1/streams/one").send(sluice.admin).status,
                            204
                        );
                    }
                    (way, camera) => {
                        file.write(&configuration(others, camera.map(String::as_str)));
                        if let Way::Signal = way {
                            sluice.signal("HUP");
                        }
                        wait_for(&format!("{way:?}"), || (reads(&sluice) > before).then_some(()));
                    }
                }
                match camera {
                    Some(_) => sluice.wait_until_playing("one"),
                    None => assert_eq!(names(&sluice).len(), OTHERS),
                }
            }
        }
        assert_eq!(sluice.metric("sluice_viewers"), OTHERS as f64, "all of it passed while they watched");
        let watched = watched.join().expect("a report");
        assert_eq!(watched.code, Some(0), "{}", watched.text);
    });
    let starts: f64 =
        (0..OTHERS).map(|n| sluice.metric(&format!("sluice_stream_starts_total{{stream=\"cam{n}\"}}"))).sum();
    assert_eq!(starts, OTHERS as f64, "no other camera was connected anew");
}
