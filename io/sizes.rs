//! Sizes counted by powers of two: what a histogram is made from where each count would cost more than what is
//! counted. Owns the bounds; it knows nothing of who reads them.

/// How many of something were of which size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes([u32; Sizes::BOUNDS.len() + 1]);

impl Sizes {
    /// The upper bounds of the counts; the last count is of what is larger.
    pub const BOUNDS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

    /// One more, of that size.
    pub(crate) fn note(&mut self, size: usize) {
        let power = size.saturating_sub(1).checked_ilog2().map_or(0, |power| power as usize + 1);
        self.0[power.min(Self::BOUNDS.len())] += 1;
    }

    /// The counts, by ascending bounds: each is of sizes at or under its bound and over the one before.
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        self.0.into_iter().map(u64::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_is_counted_under_the_first_bound_that_holds_it() {
        for size in 0..=130 {
            let mut sizes = Sizes::default();
            sizes.note(size);
            let bound = Sizes::BOUNDS.iter().position(|bound| size <= *bound).unwrap_or(Sizes::BOUNDS.len());
            assert_eq!(sizes.counts().position(|count| count == 1), Some(bound), "{size}");
            assert_eq!(sizes.counts().sum::<u64>(), 1, "{size}");
        }
    }
}
