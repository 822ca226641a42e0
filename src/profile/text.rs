//! A profile as text, as Go programs answer `?debug=1`.

use std::fmt::Write as _;

use super::names::{Line, Names};
use super::{Frame, Profile};

/// The stacks, those with the highest value first.
pub fn render(profile: &Profile, names: &mut Names) -> String {
    let (kind, unit) = profile.kinds[profile.shown];
    let of = |values: &[i64]| values.get(profile.shown).copied().unwrap_or(0);
    let total: i64 = profile.samples.iter().map(|sample| of(&sample.values)).sum();
    let mut text = match unit {
        "count" => format!("{kind} profile: total {total}\n"),
        _ => format!("{kind} profile: total {total} {unit}\n"),
    };
    for comment in &profile.comments {
        let _ = writeln!(text, "# {comment}");
    }
    let mut samples: Vec<_> = profile.samples.iter().collect();
    samples.sort_by_key(|sample| std::cmp::Reverse(of(&sample.values)));
    for sample in samples {
        let values: Vec<String> =
            profile.kinds.iter().zip(&sample.values).map(|(kind, value)| said(kind.0, *value)).collect();
        let values =
            if profile.kinds.len() == 1 { of(&sample.values).to_string() } else { values.join(", ") };
        let _ = write!(text, "\n{values} @");
        for frame in &sample.frames {
            if let Frame::Code(address) = frame {
                let _ = write!(text, " {address:#x}");
            }
        }
        text.push('\n');
        if let Some(thread) = &sample.thread {
            let _ = writeln!(text, "# labels: {{\"thread\":{thread:?}}}");
        }
        for line in sample.frames.iter().flat_map(|frame| names.of(frame).to_vec()) {
            let _ = writeln!(text, "#\t{}", shown(&line));
        }
    }
    text
}

fn said(kind: &str, value: i64) -> String {
    format!("{kind} {value}")
}

/// A function with its place.
pub(super) fn shown(line: &Line) -> String {
    match (line.file.as_str(), line.line) {
        ("", _) => line.function.clone(),
        (file, 0) => format!("{}  {file}", line.function),
        (file, number) => format!("{}  {file}:{number}", line.function),
    }
}
