//! How alike two pictures are to an eye: SSIM (Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From
//! Error Visibility to Structural Similarity", 2004, equation 13).
//!
//! Owns planes of luma and the index. The windows are those of x264 and of ffmpeg's `ssim` filter: 8x8 pixels,
//! one every 4 pixels both ways, all of the same weight. Never knows where a picture comes from.

/// Pixels of a window's side, and from one window to the next.
const WINDOW: usize = 8;
const STEP: usize = 4;

/// `C1` and `C2` for 8 bits: (0.01 * 255)² and (0.03 * 255)².
const C1: f64 = 6.502_5;
const C2: f64 = 58.522_5;

/// Luma of a picture, 8 bits a pixel, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Plane {
    /// A plane of `width` x `height` pixels; none if `pixels` are not as many, or too few for one window.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Option<Plane> {
        let fits = width >= WINDOW && height >= WINDOW && width.checked_mul(height) == Some(pixels.len());
        fits.then_some(Plane { width, height, pixels })
    }

    /// A plane of one grey, as large as this one.
    pub fn grey_like(&self, level: u8) -> Plane {
        Plane { pixels: vec![level; self.pixels.len()], ..*self }
    }

    /// The same picture with sides of a quarter, each pixel the mean of sixteen. One that is too small for that
    /// stays as it is.
    pub fn quarter(&self) -> Plane {
        const SIDE: usize = 4;
        let (width, height) = (self.width / SIDE, self.height / SIDE);
        if width < WINDOW || height < WINDOW {
            return self.clone();
        }
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let rows = (0..SIDE).map(|row| {
                    let start = (y * SIDE + row) * self.width + x * SIDE;
                    self.pixels[start..start + SIDE].iter().map(|&pixel| u32::from(pixel)).sum::<u32>()
                });
                let sum = rows.sum::<u32>();
                pixels.push(((sum + (SIDE * SIDE / 2) as u32) / (SIDE * SIDE) as u32) as u8);
            }
        }
        Plane { width, height, pixels }
    }

    /// The mean index over all windows: 1 for equal pictures, about 0 for unrelated ones. None if the sizes differ.
    pub fn ssim(&self, other: &Plane) -> Option<f64> {
        if (self.width, self.height) != (other.width, other.height) {
            return None;
        }
        let (mut sum, mut windows) = (0.0, 0.0);
        for y in (0..=self.height - WINDOW).step_by(STEP) {
            for x in (0..=self.width - WINDOW).step_by(STEP) {
                sum += self.window(other, x, y);
                windows += 1.0;
            }
        }
        Some(sum / windows)
    }

    fn window(&self, other: &Plane, x: usize, y: usize) -> f64 {
        let (mut a, mut b, mut squares, mut products) = (0_u32, 0_u32, 0_u32, 0_u32);
        for row in y..y + WINDOW {
            let range = row * self.width + x..row * self.width + x + WINDOW;
            for (&one, &two) in self.pixels[range.clone()].iter().zip(&other.pixels[range]) {
                let (one, two) = (u32::from(one), u32::from(two));
                a += one;
                b += two;
                squares += one * one + two * two;
                products += one * two;
            }
        }
        let count = (WINDOW * WINDOW) as f64;
        let (a, b) = (f64::from(a) / count, f64::from(b) / count);
        let variances = f64::from(squares) / count - a * a - b * b;
        let covariance = f64::from(products) / count - a * b;
        (2.0 * a * b + C1) * (2.0 * covariance + C2) / ((a * a + b * b + C1) * (variances + C2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(width: usize, height: usize, pixel: impl Fn(usize, usize) -> u8) -> Plane {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| pixel(x, y));
        Plane::new(width, height, pixels.collect()).expect("a plane")
    }

    /// A picture with edges and slopes; `shift` moves it.
    fn scene(shift: usize) -> Plane {
        let dark = |x: usize| ((x + shift) / 16).is_multiple_of(2);
        plane(64, 48, |x, y| if dark(x) { 40 + y as u8 } else { 200 - (x + shift) as u8 })
    }

    #[test]
    fn equal_pictures_have_one_and_others_less() {
        let ssim = |other: &Plane| scene(0).ssim(other).expect("the same size");
        assert!((ssim(&scene(0)) - 1.0).abs() < 1e-12);
        let noisy = plane(64, 48, |x, y| scene(0).pixels[y * 64 + x] ^ 1);
        let (moved, grey) = (scene(5), scene(0).grey_like(128));
        assert!(ssim(&noisy) > 0.95 && ssim(&noisy) < 1.0, "{}", ssim(&noisy));
        assert!(ssim(&moved) < 0.9, "{}", ssim(&moved));
        assert!(ssim(&grey) < 0.7, "{}", ssim(&grey));
        let negative = plane(64, 48, |x, y| 255 - scene(0).pixels[y * 64 + x]);
        assert!(ssim(&negative) < 0.4, "{}", ssim(&negative));
    }

    #[test]
    fn flat_pictures_differ_by_their_means_only() {
        // Both variances and the covariance are zero: what is left is (2ab + C1) / (a² + b² + C1).
        let dark = plane(16, 16, |_, _| 50);
        let expected = (2.0 * 50.0 * 100.0 + C1) / (2_500.0 + 10_000.0 + C1);
        let ssim = dark.ssim(&dark.grey_like(100)).expect("the same size");
        assert!((ssim - expected).abs() < 1e-12, "{ssim} {expected}");
    }

    #[test]
    fn a_quarter_has_the_means() {
        let quarter = plane(64, 32, |x, y| (x / 4 + y / 4) as u8).quarter();
        assert_eq!((quarter.width, quarter.height), (16, 8));
        assert_eq!(quarter.pixels[17], 2);
        assert_eq!(plane(16, 16, |_, _| 0).quarter(), plane(16, 16, |_, _| 0));
    }

    #[test]
    fn what_does_not_fit_is_not_compared() {
        assert_eq!(Plane::new(8, 8, vec![0; 63]), None);
        assert_eq!(Plane::new(7, 8, vec![0; 56]), None);
        assert_eq!(plane(16, 8, |_, _| 0).ssim(&plane(8, 16, |_, _| 0)), None);
    }
}
