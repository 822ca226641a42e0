//! What the benchmarks of this folder share: arguments and medians.

/// How a benchmark was called.
pub struct Arguments {
    /// Fewer rounds: on request, and when cargo only checks that benchmarks run (`cargo test --benches`).
    pub quick: bool,
}

impl Arguments {
    /// Reads the command line. Ends the process where it is not understood.
    pub fn parse() -> Arguments {
        let (mut quick, mut bench) = (false, false);
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--quick" => quick = true,
                "--bench" => bench = true,
                other => panic!("unknown argument {other}: only --quick is known"),
            }
        }
        Arguments { quick: quick || !bench }
    }
}

/// The median; of an even number the upper one.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
