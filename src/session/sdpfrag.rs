//! `application/trickle-ice-sdpfrag` (RFC 8840): what a PATCH says.
//!
//! Candidates are counted and otherwise ignored: an ICE-lite agent sends no checks, so it needs no
//! remote candidates, and a `.local` name is never resolved. Only credentials matter, because new
//! ones restart ICE.

use super::offer::check_credentials;
use crate::peer::Credentials;

/// A fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The credentials it names: of all, or one section's own after another's.
    pub credentials: Vec<Credentials>,
    /// Candidates in it.
    pub candidates: usize,
}

/// Why a fragment is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is not an SDP fragment: {0}")]
pub struct FragmentError(String);

/// User name fragments that are kept of an offer or a fragment. Sections of players that do not bundle have one
/// each; more would let an offer keep memory.
const UFRAGS_MAX: usize = 16;

/// The user name fragments in a description. Those of sections that share another's transport are in no use, and
/// yet players name them when they trickle.
pub fn ufrags_of(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for ufrag in text.lines().filter_map(|line| line.strip_prefix("a=ice-ufrag:")).map(str::trim) {
        if found.len() < UFRAGS_MAX && !found.iter().any(|known| known == ufrag) {
            found.push(ufrag.to_owned());
        }
    }
    found
}

impl Fragment {
    /// Credentials that restart ICE where `known` are the current ones: the first that are new.
    pub fn restart(self, known: &[String]) -> Option<Credentials> {
        self.credentials.into_iter().find(|new| !known.contains(&new.ufrag))
    }

    /// Reads a fragment: lines of `a=` and `m=`, nothing else.
    pub fn parse(text: &str) -> Result<Fragment, FragmentError> {
        let (mut ufrag, mut pwd, mut candidates) = (None, None, 0);
        let mut credentials = Vec::new();
        let mut lines = 0;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            lines += 1;
            let Some((kind @ ("a" | "m"), value)) = line.split_once('=') else {
                return Err(FragmentError(format!("line {} is neither a= nor m=", index + 1)));
            };
            if kind == "m" {
                credentials.extend(together(ufrag.take(), pwd.take())?);
                continue;
            }
            match value.split_once(':') {
                Some(("ice-ufrag", value)) if ufrag.is_none() => ufrag = Some(value.trim()),
                Some(("ice-pwd", value)) if pwd.is_none() => pwd = Some(value.trim()),
                Some(("candidate", _)) => candidates += 1,
                _ => {}
            }
        }
        if lines == 0 {
            return Err(FragmentError("it is empty".to_owned()));
        }
        credentials.extend(together(ufrag, pwd)?);
        Ok(Fragment { credentials, candidates })
    }
}

fn together(ufrag: Option<&str>, pwd: Option<&str>) -> Result<Option<Credentials>, FragmentError> {
    match (ufrag, pwd) {
        (Some(ufrag), Some(pwd)) => {
            check_credentials(ufrag, pwd).map(Some).map_err(|error| FragmentError(error.to_string()))
        }
        (None, None) => Ok(None),
        _ => Err(FragmentError("a=ice-ufrag and a=ice-pwd come together or not at all".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_counted_and_mdns_names_are_nothing_special() {
        let text = "a=ice-ufrag:EsAw\r\na=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
                    a=candidate:1 1 udp 2113937151 fd2c9a07-1f4e.local 5000 typ host\r\na=end-of-candidates\r\n";
        let fragment = Fragment::parse(text).expect("a fragment");
        assert_eq!(fragment.candidates, 1);
        assert_eq!(fragment.credentials[0].ufrag, "EsAw");
    }

    #[test]
    fn a_section_s_own_credentials_of_the_offer_restart_nothing() {
        let known = ufrags_of("v=0\r\na=ice-ufrag:aaaa\r\na=ice-ufrag:bbbb\r\na=ice-ufrag:aaaa\r\n");
        assert_eq!(known, ["aaaa", "bbbb"]);
        let restart = |text: &str| {
            let text = text.replace('/', "\r\na=ice-pwd:0123456789abcdefghijkl\r\n");
            Fragment::parse(&text).expect("a fragment").restart(&known).map(|new| new.ufrag)
        };
        assert_eq!(restart("a=ice-ufrag:bbbb/m=video 9 a\r\na=mid:1\r\n"), None);
        assert_eq!(restart("m=video 9 a\r\na=mid:1\r\na=ice-ufrag:bbbb/"), None);
        assert_eq!(restart("m=video 9 a\r\na=ice-ufrag:bbbb/m=audio 9 a\r\na=ice-ufrag:aaaa/"), None);
        let new = restart("m=video 9 a\r\na=ice-ufrag:bbbb/m=audio 9 a\r\na=ice-ufrag:cccc/");
        assert_eq!(new.as_deref(), Some("cccc"));
    }

    #[test]
    fn anything_else_is_refused_with_the_line() {
        for (text, want) in [
            ("", "it is empty"),
            ("\r\n\r\n", "it is empty"),
            ("{\"candidate\":\"\"}", "line 1 is neither a= nor m="),
            ("a=mid:0\r\nhello", "line 2 is neither a= nor m="),
            ("a=ice-ufrag:EsAw\r\n", "come together"),
            ("a=ice-ufrag:E\r\na=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\n", "4 to 256"),
        ] {
            let error = Fragment::parse(text).expect_err(text).to_string();
            assert!(error.contains(want), "{text:?}: {error}");
        }
    }
}
