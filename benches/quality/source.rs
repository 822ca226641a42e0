//! The pictures that should be seen, and those that were, as luma: ffmpeg decodes both. A shell: it runs a program.
//!
//! Owns the commands, and that both sides get the same range and matrix. Never compares.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use sluice_media::clip;

use super::ssim::Plane;
use crate::error::BenchError;

/// Size of the demo clip's pictures.
pub const WIDTH: usize = 1_280;
pub const HEIGHT: usize = 720;

/// From any pixel format to the luma of the clip's own: BT.709 in the range of television.
const LUMA: &str = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,extractplanes=y";

/// Whether there is an ffmpeg in `$PATH`.
pub fn is_there() -> bool {
    super::find_program(&["ffmpeg"]).is_some()
}

/// Decodes the demo clip, which is put into `directory` first, and gives its pictures one after the other.
pub fn clip(directory: &Path, mut each: impl FnMut(usize, Plane)) -> Result<(), BenchError> {
    let file = directory.join("source.h264");
    std::fs::write(&file, clip::byte_stream()).map_err(BenchError::file(&file))?;
    let mut index = 0;
    decode(&file, |plane| {
        each(index, plane);
        index += 1;
    })
}

/// A picture of the clip's size from a PNG file.
pub fn png(file: &Path) -> Result<Plane, BenchError> {
    let mut found = None;
    decode(file, |plane| found = Some(plane))?;
    found.ok_or_else(|| BenchError::Result { path: file.to_owned(), message: "it has no picture".to_owned() })
}

fn decode(file: &Path, mut each: impl FnMut(Plane)) -> Result<(), BenchError> {
    let failed = |message: String| BenchError::Result { path: file.to_owned(), message };
    let mut decoder = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(file)
        .args(["-vf", LUMA, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(format!("ffmpeg cannot be started: {error}")))?;
    let mut output = decoder.stdout.take().expect("it is piped");
    let whole = loop {
        let mut pixels = Vec::with_capacity(WIDTH * HEIGHT);
        match output.by_ref().take((WIDTH * HEIGHT) as u64).read_to_end(&mut pixels) {
            Ok(0) => break true,
            Ok(_) => match Plane::new(WIDTH, HEIGHT, pixels) {
                Some(plane) => each(plane),
                None => break false,
            },
            Err(_) => break false,
        }
    };
    drop(output);
    let status = decoder.wait().map_err(|error| failed(error.to_string()))?;
    match (whole, status.success()) {
        (true, true) => Ok(()),
        (false, _) => Err(failed(format!("its pictures are not {WIDTH} x {HEIGHT}"))),
        (true, false) => Err(failed(format!("ffmpeg cannot decode it ({status})"))),
    }
}
