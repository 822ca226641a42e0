//! "Did you mean": the known word nearest to a mistyped one. It never guesses when nothing is near.

/// The candidate nearest to `word`, if at most a third of its letters differ. Case, `-` and `_` do not count as
/// differences; among equals the first wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = fold(word);
    // Long input is no typing mistake, and the distance costs its square.
    if word.len() > 80 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().min(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn fold(word: &str) -> Vec<char> {
    word.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 4] = ["udp.port", "http.listen", "log", "rtsp.reconnect_min"];

    #[test]
    fn finds_what_a_finger_missed() {
        for (typed, meant) in [
            ("udp.prt", "udp.port"),
            ("udp.prot", "udp.port"),
            ("UDP.PORT", "udp.port"),
            ("lgo", "log"),
            ("http.listne", "http.listen"),
            ("rtsp.reconnect-min", "rtsp.reconnect_min"),
        ] {
            assert_eq!(nearest(typed, WORDS), Some(meant), "{typed}");
        }
    }

    #[test]
    fn keeps_silent_when_nothing_is_near() {
        for typed in ["", "x", "dtls", "nack.history", &"l".repeat(10_000)] {
            assert_eq!(nearest(typed, WORDS), None, "{typed}");
        }
    }

    #[test]
    fn counts_edits() {
        for (a, b, edits) in
            [("", "", 0), ("", "abc", 3), ("port", "prt", 1), ("port", "prot", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(&fold(a), &fold(b)), edits, "{a} {b}");
            assert_eq!(distance(&fold(b), &fold(a)), edits, "{b} {a}");
        }
    }
}
