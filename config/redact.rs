//! Takes credentials out of text that will be shown: excerpts of the file, arguments, variables, values. It keeps every
//! byte's place, so that carets still point where they should, and it would rather hide too much than too little.
//!
//! The text is faulty when it gets here, so nothing can be parsed: the rules work on lines.
//!
//! 1. Everything from the first `:` behind the scheme to the **last** `@` of the line is hidden, whatever lies between.
//! 2. Without an `@`, a "port" that is not a number may be a password whose host was forgotten: the rest is hidden.
//! 3. What follows `password=`, `pwd=`, `token=` and their like is hidden, to the next `&` in a URL, else to the end;
//!    what is nearly `password`, too, and the lines that a value goes on in.
//! 4. The query of a URL that is not a camera's is hidden: other servers have keys under names of their own.

use std::ops::Range;

use crate::suggest::nearest;

const SECRET_WORDS: [&str; 6] = ["password", "passwd", "pass", "pwd", "token", "secret"];

/// The same text, byte for byte as long, with `*` for secrets and `?` for control characters, which a terminal would obey.
pub fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut open = Open::No;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        let mut hidden = secrets(bare);
        hidden.extend(open.hides(bare));
        for (at, c) in line.char_indices() {
            let cover = if hidden.iter().any(|range| range.contains(&at)) {
                '*'
            } else if c == '\r' {
                ' '
            } else if c.is_control() && c != '\n' && c != '\t' {
                '?'
            } else {
                shown.push(c);
                continue;
            };
            shown.extend(std::iter::repeat_n(cover, c.len_utf8()));
        }
    }
    shown
}

/// A value for the middle of a sentence: redacted, on one line, at most some 60 characters.
pub(crate) fn shown(value: &str) -> String {
    let line = redact(&value.replace(['\n', '\t'], " "));
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// A secret that began on a line above, and goes on until this.
enum Open {
    No,
    /// The first line that has something.
    Something,
    /// A line that has this.
    Until(&'static str),
}

impl Open {
    /// What of the next line is hidden for what stood above it.
    fn hides(&mut self, line: &str) -> Option<Range<usize>> {
        let hides = !matches!(self, Open::No);
        match self {
            Open::Something if line.trim().is_empty() => {}
            Open::Until(end) if !line.contains(*end) => {}
            _ => *self = Open::beginning(line),
        }
        hides.then_some(0..line.len())
    }

    /// What a line leaves open.
    fn beginning(line: &str) -> Open {
        let value = match secret_parameters(line).last() {
            Some(range) if !line.trim_start().starts_with('#') => line[range.clone()].trim(),
            _ => return Open::No,
        };
        if value.is_empty() {
            return Open::Something;
        }
        let pairs = [("\"\"\"", "\"\"\""), ("\'\'\'", "\'\'\'"), ("[", "]"), ("{", "}")];
        let open = pairs.into_iter().find_map(|(begin, end)| Some((value.strip_prefix(begin)?, end)));
        match open {
            Some((rest, end)) if !rest.contains(end) => Open::Until(end),
            _ => Open::No,
        }
    }
}

/// Whether what is called so is secret.
fn is_secret(word: &str) -> bool {
    let last = word.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    SECRET_WORDS.iter().any(|secret| word.ends_with(secret)) || nearest(last, [SECRET_WORDS[0]]).is_some()
}

/// Where the values of `password=` and its like lie in `line`.
pub(crate) fn secret_parameters(line: &str) -> Vec<Range<usize>> {
    let lower = line.to_ascii_lowercase();
    let url = lower.find("://").unwrap_or(usize::MAX);
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, sign) in lower.match_indices(['=', ':']) {
        // `password = "..."` in the file, `"password": ...` by people used to JSON.
        let word = lower[..at].trim_end_matches([' ', '\t', '"', '\'']);
        let inside_another = found.last().is_some_and(|range| range.contains(&at));
        if inside_another || !is_secret(word) {
            continue;
        }
        let value = at + sign.len();
        let end = lower[value..].find('&').filter(|_| value > url).map_or(line.len(), |end| value + end);
        found.push(value..end);
    }
    found
}

fn secrets(line: &str) -> Vec<Range<usize>> {
    let mut hidden = secret_parameters(line);
    let authority = behind_scheme(line, 0).unwrap_or(0);
    let mut from = 0;
    if let Some(at) = line.rfind('@') {
        from = at;
        if let Some(colon) = line.get(authority..at).and_then(|userinfo| userinfo.find(':')) {
            hidden.push(authority + colon + 1..at);
        }
    }
    while let Some(authority) = behind_scheme(line, from) {
        from = authority;
        if let Some(start) = strange_port(&line[authority..]) {
            hidden.push(authority + start..line.len());
        }
        let scheme = line[..authority].to_ascii_lowercase();
        let is_camera =
            ["rtsp://", "rtsps://", "rtsp+http://", "rtsp+https://"].iter().any(|of| scheme.ends_with(of));
        if let Some(query) = line[authority..].find('?').filter(|_| !is_camera) {
            let rest = &line[authority + query + 1..];
            let end = rest.find(['"', '\'', ' ', ',', '`']).unwrap_or(rest.len());
            hidden.push(authority + query + 1..authority + query + 1 + end);
        }
    }
    hidden
}

/// The offset behind the next `scheme://` that stands where a URL can begin.
fn behind_scheme(line: &str, from: usize) -> Option<usize> {
    line[from..].match_indices("://").map(|(at, _)| from + at).find_map(|at| {
        let scheme = line[..at].trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '+');
        let begins = scheme.is_empty() || scheme.ends_with(['"', '\'', '=', ' ', '\t', ',', '[', '`']);
        (begins && scheme.len() < at).then_some(at + 3)
    })
}

/// The offset of what follows `host:` if that is no port.
fn strange_port(authority: &str) -> Option<usize> {
    let host = match authority.strip_prefix('[') {
        Some(_) => authority.find(']').unwrap_or(0),
        None => 0,
    };
    let end = authority[host..]
        .find(['/', '?', '#', '"', '\'', ' ', ','])
        .map_or(authority.len(), |end| host + end);
    let port = host + authority[host..end].find(':')? + 1;
    (!authority[port..end].bytes().all(|b| b.is_ascii_digit())).then_some(port)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hides_the_password_and_nothing_else() {
        for (text, safe) in [
            ("cam = \"rtsp://admin:canary@host/x\" # main", "cam = \"rtsp://admin:******@host/x\" # main"),
            ("cam = 'rtsp://admin:ca@na/ry#@host:554/x'", "cam = 'rtsp://admin:*********@host:554/x'"),
            ("rtsp:/admin:canary@host", "rtsp:*************@host"),
            ("admin:canary@host", "admin:******@host"),
            ("cam1=admin:c://y@host", "cam1=admin:*****@host"),
            ("rtsp://admin:canary", "rtsp://admin:******"),
            ("rtsp://admin:canary/x", "rtsp://admin:********"),
            ("rtsp://admin:ü@host", "rtsp://admin:**@host"),
            (
                "rtsp://host/?user=a&password=canary&channel=1",
                "rtsp://host/?user=a&password=******&channel=1",
            ),
            ("password = \"can&ary\"", "password =**********"),
            ("a.passwort = \"canary\"", "a.passwort =*********"),
            ("SLUICE_A_PASWORD=canary", "SLUICE_A_PASWORD=******"),
            ("password =\n\n\"canary\"\nb = 1", "password =\n\n********\nb = 1"),
            ("password = [\n\"canary\"\n]\nb = 1", "password =**\n********\n*\nb = 1"),
            ("token = \'\'\'\nx\ny\'\'\'\nb = 1", "token =****\n*\n****\nb = 1"),
            ("k = \"https://id/keys?k=canary\" # x", "k = \"https://id/keys?********\" # x"),
            ("SLUICE_STREAMS_A_PASSWORD=canary", "SLUICE_STREAMS_A_PASSWORD=******"),
            ("passport_pass=canary", "passport_pass=******"),
            ("a\r\nrtsp://u:c@h\r\n", "a \nrtsp://u:*@h \n"),
            ("bell\u{7}\u{1b}[2J\u{9b}", "bell??[2J??"),
        ] {
            assert_eq!(redact(text), safe);
        }
    }

    #[test]
    fn leaves_innocent_lines_alone() {
        for text in [
            "",
            "http.listen = \"[::]:8889\"",
            "source = \"rtsp://host:554/x\"",
            "source = \"rtsp://[::1]:554/x\"",
            "source = \"rtsp://user@host:554/x\"",
            "source = \"rtsp://host/x\" # see http://host:80/",
            "a = \"rtsp://host/a:b\"",
            "a pass is a pass",
            "# its password:\nb = 1",
            "path = \"x\"\npast: 1",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn shortens_long_values() {
        assert_eq!(shown("a\nb"), "a b");
        assert_eq!(shown(&"é".repeat(100)), format!("{}...", "é".repeat(60)));
    }

    proptest! {
        #[test]
        fn no_password_before_an_at_sign_survives(password in "[^\\n\\r]{1,20}", quote in "[\"' =]") {
            let canary = format!("7c{password}4f");
            let safe = redact(&format!("source{quote}rtsp://admin:{canary}@host/x"));
            prop_assert!(!safe.contains("7c") && !safe.contains("4f"), "{}", safe);
        }

        #[test]
        fn keeps_every_byte_in_place(text in "(.|\\n|://|@|pass=){0,40}") {
            let safe = redact(&text);
            prop_assert_eq!(safe.len(), text.len());
            for (at, _) in text.match_indices('\n') {
                prop_assert_eq!(safe.as_bytes()[at], b'\n');
            }
        }
    }
}
