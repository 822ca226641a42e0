//! Numbers as people read them in a column. What is not known is a dash.

use std::time::Duration;

const NONE: &str = "-";

/// `4.21 Mb/s`.
pub(super) fn bitrate(bps: Option<u64>) -> String {
    scaled(bps.map(|bps| bps as f64), &["b/s", "kb/s", "Mb/s", "Gb/s"])
}

/// `312`, `1.24 k`.
pub(super) fn number(value: u64) -> String {
    scaled(Some(value as f64), &["", "k", "M", "G"]).trim_end().to_owned()
}

fn scaled(value: Option<f64>, units: &[&str]) -> String {
    let Some(mut value) = value else { return NONE.to_owned() };
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let digits = match value {
        _ if unit == 0 || value >= 99.95 => 0,
        _ if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {}", units[unit])
}

/// Of 0 to 1: `0.31 %`.
pub(super) fn percent(ratio: Option<f64>) -> String {
    let Some(value) = ratio.map(|ratio| ratio * 100.0) else { return NONE.to_owned() };
    let digits = if value == 0.0 || value >= 9.95 {
        0
    } else if value >= 0.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$} %")
}

/// `0.42 ms`, `31 ms`, `2.1 s`.
pub(super) fn milliseconds(ms: Option<f64>) -> String {
    match ms {
        None => NONE.to_owned(),
        Some(ms) if ms >= 999.5 => format!("{:.1} s", ms / 1e3),
        Some(ms) if ms >= 9.95 => format!("{ms:.0} ms"),
        Some(ms) => format!("{ms:.1} ms"),
    }
}

/// `8 s`, `4 min`, `3 h`, `2 d`: one figure is enough to judge by.
pub(super) fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..90 => format!("{seconds} s"),
        90..5_400 => format!("{} min", (seconds + 30) / 60),
        5_400..129_600 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} d", (seconds + 43_200) / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_figures_at_the_most() {
        for (bps, text) in [
            (0, "0 b/s"),
            (999, "999 b/s"),
            (1_240_000, "1.24 Mb/s"),
            (64_960_000, "65.0 Mb/s"),
            (9_996_000_000, "10.0 Gb/s"),
        ] {
            assert_eq!(bitrate(Some(bps)), text);
        }
        assert_eq!([number(0), number(312), number(1_240)], ["0", "312", "1.24 k"]);
        let ratios = [0.0, 0.0031, 0.021, 0.12, 1.0].map(|ratio| percent(Some(ratio)));
        assert_eq!(ratios, ["0 %", "0.31 %", "2.1 %", "12 %", "100 %"]);
        let times = [0.42, 9.9, 31.4, 2_100.0].map(|ms| milliseconds(Some(ms)));
        assert_eq!(times, ["0.4 ms", "9.9 ms", "31 ms", "2.1 s"]);
        assert_eq!([bitrate(None), percent(None), milliseconds(None)], ["-"; 3]);
        let lengths = [8, 89, 240, 7_200, 200_000].map(|seconds| length(Duration::from_secs(seconds)));
        assert_eq!(lengths, ["8 s", "89 s", "4 min", "2 h", "2 d"]);
    }
}
