//! Somebody else's text, cut to what a sentence may repeat of it.

/// Bytes of somebody's text that are repeated.
const SHOWN_MAX: usize = 64;

/// The beginning of somebody's text, to be repeated in a sentence.
pub fn shown(text: &str) -> &str {
    let cut = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| end <= SHOWN_MAX).last();
    text.get(..cut.unwrap_or(0)).unwrap_or_default()
}
