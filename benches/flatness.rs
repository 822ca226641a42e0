//! Whether something grows: memory over sessions, or over hours.
//!
//! Owns the judgement. Never knows what grows.

use serde::Serialize;

/// Part of the points that is warm-up: pools, caches and the allocator find their size.
const WARM_UP: f64 = 0.2;

/// Part of the points at either end of the rest that are compared.
const END: f64 = 0.2;

/// Growth up to this is none. Lower and the allocator's own breathing is a leak; higher and a slow leak is
/// none.
const TOLERATED: f64 = 0.05;

/// Points that a judgement needs.
const POINTS_MIN: usize = 20;

/// How something grew from the beginning, the warm-up over, to the end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Growth {
    /// Median of the first points after the warm-up.
    pub early: f64,
    /// Median of the last.
    pub late: f64,
    /// Growth for each step of what it is plotted over.
    pub per_step: f64,
}

impl Growth {
    /// Of points (what it is plotted over, how much), in order; none of too few.
    pub fn of(points: &[(f64, f64)]) -> Option<Growth> {
        if points.len() < POINTS_MIN {
            return None;
        }
        let warm = &points[(points.len() as f64 * WARM_UP) as usize..];
        let count = ((warm.len() as f64 * END) as usize).max(1);
        let (first, last) = (&warm[..count], &warm[warm.len() - count..]);
        let middle = |points: &[(f64, f64)]| {
            let of = |part: fn(&(f64, f64)) -> f64| super::spread::Spread::of(points.iter().map(part));
            Some((of(|point| point.0)?.median, of(|point| point.1)?.median))
        };
        let ((from, early), (to, late)) = (middle(first)?, middle(last)?);
        Some(Growth { early, late, per_step: (late - early) / (to - from).max(f64::MIN_POSITIVE) })
    }

    /// Growth as a part of what there was.
    pub fn part(&self) -> f64 {
        (self.late - self.early) / self.early
    }

    /// Whether that is no growth.
    pub fn is_flat(&self) -> bool {
        self.part() <= TOLERATED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: u32, value: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (0..count).map(|index| (f64::from(index) * 100.0, value(f64::from(index)))).collect()
    }

    #[test]
    fn a_server_that_warms_up_and_then_breathes_is_flat() {
        let growth = Growth::of(&points(200, |index| 40e6 - 20e6 / (1.0 + index) + 1e6 * (index % 2.0)));
        let growth = growth.expect("enough points");
        assert!(growth.is_flat(), "{growth:?}");
    }

    #[test]
    fn a_kilobyte_a_session_is_found() {
        let growth = Growth::of(&points(200, |index| 40e6 + 1_024.0 * 100.0 * index)).expect("enough points");
        assert!(!growth.is_flat(), "{growth:?}");
        assert!((growth.per_step - 1_024.0).abs() < 1.0, "{growth:?}");
    }

    #[test]
    fn shrinking_is_flat_and_few_points_are_no_judgement() {
        assert!(Growth::of(&points(50, |index| 1e6 - index)).expect("enough points").is_flat());
        assert_eq!(Growth::of(&points(19, |_| 1.0)), None);
    }
}
