//! What was said in an attempt, for the log when it fails: enough to report a camera by.
//!
//! Owns the masking: nothing gets in here with credentials, nor with the path and query of the source, where
//! cameras hide passwords too.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use sluice_config::Credentials;
use url::Url;

use super::RtspSettings;

/// Bytes that are kept of an attempt. The newest: failures are at the end.
const MAX_BYTES: usize = 16 << 10;

/// Bytes that are kept of one message.
const MAX_MESSAGE: usize = 4 << 10;

/// Characters of a line that are kept.
const MAX_LINE: usize = 1 << 10;

/// Characters of a camera's text in a sentence, at most.
const MAX_QUOTE: usize = 120;

/// What is behind these words in a line is never kept, wherever in the line they stand: cameras send back what
/// they were sent, as the reason of a refusal too. A header may be `Proxy-Authorization`.
const SECRET_BEHIND: [&str; 3] = ["authorization:", "basic ", "response="];

/// Takes what must not be shown out of text.
#[derive(Clone)]
pub(super) struct Mask {
    /// Each with what stands for it.
    secrets: Vec<(String, &'static str)>,
}

/// Addresses that a camera sent us on to whose paths are masked too, at most.
const MAX_HIDDEN: usize = 16;

/// What stands for a path.
const PATH: &str = "/(path)";

/// Shorter secrets are only masked where they stand alone: they would take words and numbers apart.
const SHORT: usize = 4;

impl Mask {
    pub(super) fn new(settings: &RtspSettings) -> Mask {
        let mut secrets = Vec::new();
        if let Some(Credentials { username, password }) = &settings.camera.credentials {
            let password = password.expose();
            secrets.push((password.to_owned(), "(password)"));
            let encoded = url::form_urlencoded::byte_serialize(password.as_bytes()).collect();
            secrets.push((encoded, "(password)"));
            // As Basic sends it, with and without what pads it.
            let basic = format!("{username}:{password}");
            secrets.push((BASE64_STANDARD_NO_PAD.encode(basic), "(password)"));
            secrets.push((BASE64_STANDARD_NO_PAD.encode(password), "(password)"));
        }
        let mut mask = Mask { secrets };
        mask.hide(&settings.camera.url);
        mask
    }

    /// Takes out path and query of another address, too.
    pub(super) fn hide(&mut self, url: &Url) {
        if self.secrets.iter().filter(|(_, name)| *name == PATH).count() > MAX_HIDDEN {
            return;
        }
        for (part, name) in [(Some(url.path()), PATH), (url.query(), "(query)")] {
            self.secrets.extend(part.map(|part| (part.to_owned(), name)));
        }
        // A single character would take the text apart; so would the root path.
        self.secrets.retain(|(secret, _)| secret.len() > 1);
        // The longest first: what is left of one after a part of it was replaced would be shown.
        self.secrets.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        self.secrets.dedup();
    }

    /// `text` without secrets, controls and what is no text.
    pub(super) fn text(&self, bytes: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(bytes).replace('\r', "");
        for (secret, name) in &self.secrets {
            text = replace(&text, secret, name);
        }
        let text = text.lines().map(|line| {
            let lower = line.to_ascii_lowercase();
            let behind = SECRET_BEHIND.iter().filter_map(|word| Some(lower.find(word)? + word.len())).min();
            match behind {
                // A challenge names its scheme, and what follows is no secret.
                Some(end) if !lower.starts_with("www-authenticate:") => {
                    format!("{} ***", line[..end].trim_end())
                }
                _ => without_user(line),
            }
        });
        let text: Vec<String> = text.collect();
        text.join("\n").chars().map(|c| if is_unprintable(c) && c != '\n' { '?' } else { c }).collect()
    }

    /// A line of the camera's for the middle of a sentence.
    pub(super) fn quote(&self, bytes: &[u8]) -> String {
        let text = self.text(bytes);
        let line = text.lines().next().unwrap_or_default().replace('"', "'");
        let mut quote: String = line.chars().take(MAX_QUOTE).collect();
        if line.chars().count() > MAX_QUOTE || text.lines().nth(1).is_some() {
            quote += "...";
        }
        quote
    }
}

/// `text` with `name` for each `secret`. A path is one only where it is whole, and behind no name of a protocol:
/// `/cam` is not in `/cam2`, nor `/1` in `RTSP/1.0`.
fn replace(text: &str, secret: &str, name: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(secret) {
        let (before, behind) = (&rest[..at], &rest[at + secret.len()..]);
        let mut next = behind.chars();
        let goes_on = match next.next() {
            Some('.') => next.next().is_some_and(char::is_alphanumeric),
            Some(c) => c.is_alphanumeric() || matches!(c, '_' | '-' | '~' | '%'),
            None => false,
        };
        let protocol = ["RTSP", "HTTP", "RTP", "AVP"].iter().any(|protocol| before.ends_with(protocol));
        let alone = !goes_on && !before.ends_with(char::is_alphanumeric);
        let masked = match name {
            PATH => !goes_on && !protocol,
            _ => secret.len() >= SHORT || alone,
        };
        clean.push_str(before);
        clean.push_str(if masked { name } else { secret });
        rest = behind;
    }
    clean + rest
}

/// What would break a line of the log, or turn what follows around.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `rtsp://user:password@host` without what is before the `@`.
fn without_user(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = url.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '>' | '<'));
        let (url, behind) = url.split_at(end.unwrap_or(url.len()));
        match url.rfind('@') {
            Some(at) => clean = clean + "***" + &url[at..],
            None => clean.push_str(url),
        }
        rest = behind;
    }
    clean + rest
}

/// The newest messages of an attempt, masked.
pub(super) struct Transcript {
    mask: Mask,
    messages: VecDeque<String>,
    bytes: usize,
}

impl Transcript {
    pub(super) fn new(mask: Mask) -> Transcript {
        Transcript { mask, messages: VecDeque::new(), bytes: 0 }
    }

    /// Forgets what was said: another attempt begins.
    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }

    /// Takes out path and query of an address that a camera sent us on to.
    pub(super) fn hide(&mut self, url: &Url) {
        self.mask.hide(url);
    }

    pub(super) fn mask(&self) -> &Mask {
        &self.mask
    }

    pub(super) fn sent(&mut self, message: &[u8]) {
        self.note("> ", message);
    }

    pub(super) fn received(&mut self, message: &[u8]) {
        self.note("< ", message);
    }

    fn note(&mut self, who: &str, message: &[u8]) {
        if message.is_empty() {
            return;
        }
        // Masked before it is cut: half a password is one too.
        let text = self.mask.text(message);
        let mut lines = String::new();
        for line in text.trim_end().lines() {
            if lines.len() > MAX_MESSAGE {
                lines += &format!("{who}... ({} bytes)\n", message.len());
                break;
            }
            let end = line.char_indices().nth(MAX_LINE).map_or(line.len(), |(end, _)| end);
            lines.extend([who, &line[..end], "\n"]);
        }
        self.bytes += lines.len();
        self.messages.push_back(lines);
        while self.bytes > MAX_BYTES && self.messages.len() > 1 {
            self.bytes -= self.messages.pop_front().map_or(0, |message| message.len());
        }
    }

    /// All of it.
    pub(super) fn text(&self) -> String {
        self.messages.iter().map(String::as_str).collect()
    }
}

#[cfg(test)]
#[path = "transcript_tests.rs"]
mod tests;
