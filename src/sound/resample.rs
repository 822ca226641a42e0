//! From a sampling rate that Opus does not take to 48 kHz.

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction,
};

/// Chunks in a second: what is taken at once, and so what waits, is 10 ms.
const CHUNKS: u32 = 100;

/// Resamples one track.
pub(crate) struct Resampler {
    resampler: Async<f32>,
    channels: usize,
    /// Interleaved samples that are no chunk yet.
    waiting: Vec<f32>,
    made: Vec<f32>,
}

impl Resampler {
    pub(crate) fn new(rate: u32, channels: u8) -> Result<Resampler, String> {
        let parameters = SincInterpolationParameters {
            sinc_len: 64,
            f_cutoff: None,
            oversampling_factor: 160,
            interpolation: SincInterpolationType::Linear,
            window: WindowFunction::BlackmanHarris2,
        };
        let channels = usize::from(channels);
        let (ratio, chunk) = (f64::from(super::CLOCK as u32) / f64::from(rate), (rate / CHUNKS) as usize);
        let resampler = Async::new_sinc(ratio, 1.0, &parameters, chunk, channels, FixedAsync::Input)
            .map_err(|error| error.to_string())?;
        let made = vec![0.0; resampler.output_frames_max() * channels];
        Ok(Resampler { resampler, channels, waiting: Vec::new(), made })
    }

    /// By how much what it gives lags behind what it was given, in ticks of 48 kHz.
    pub(crate) fn delay(&self) -> i64 {
        self.resampler.output_delay() as i64
    }

    /// Takes interleaved samples, and adds those that it can make by now to `samples`.
    pub(crate) fn push(&mut self, decoded: &[f32], samples: &mut Vec<f32>) {
        self.waiting.extend_from_slice(decoded);
        let mut used = 0;
        loop {
            let rest = &self.waiting[used..];
            let frames = rest.len() / self.channels;
            if frames < self.resampler.input_frames_next() {
                break;
            }
            let room = self.made.len() / self.channels;
            let (Ok(input), Ok(mut output)) = (
                InterleavedSlice::new(rest, self.channels, frames),
                InterleavedSlice::new_mut(&mut self.made, self.channels, room),
            ) else {
                break;
            };
            let Ok((taken, given)) = self.resampler.process_into_buffer(&input, &mut output, None) else {
                break;
            };
            used += taken * self.channels;
            samples.extend_from_slice(&self.made[..given * self.channels]);
        }
        self.waiting.drain(..used);
    }

    /// What comes has nothing to do with what came.
    pub(crate) fn restart(&mut self) {
        self.waiting.clear();
        self.resampler.reset();
    }
}
