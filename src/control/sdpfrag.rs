//! `application/trickle-ice-sdpfrag` (RFC 8840): what a PATCH says.
//!
//! Candidates are counted and otherwise ignored: an ICE-lite agent sends no checks, so it needs no
//! remote candidates, and a `.local` name is never resolved. Only credentials matter, because new
//! ones restart ICE.

use super::offer::check_credentials;
use crate::viewer::Credentials;

/// A fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The credentials it names, if it does.
    pub credentials: Option<Credentials>,
    /// Candidates in it.
    pub candidates: usize,
}

/// Why a fragment is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is not an SDP fragment: {0}")]
pub struct FragmentError(String);

impl Fragment {
    /// Reads a fragment: lines of `a=` and `m=`, nothing else.
    pub fn parse(text: &str) -> Result<Fragment, FragmentError> {
        let (mut ufrag, mut pwd, mut candidates) = (None, None, 0);
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
        let credentials = match (ufrag, pwd) {
            (Some(ufrag), Some(pwd)) => Some(check_credentials(ufrag, pwd).map_err(FragmentError)?),
            (None, None) => None,
            _ => {
                return Err(FragmentError(
                    "a=ice-ufrag and a=ice-pwd come together or not at all".to_owned(),
                ));
            }
        };
        Ok(Fragment { credentials, candidates })
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
        assert_eq!(fragment.credentials.expect("credentials").ufrag, "EsAw");
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
