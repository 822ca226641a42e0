//! A thing that is wrong with what a camera sends, and what to set in it.

use std::fmt;

/// One thing that is wrong, in words for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advice {
    /// What is wrong, and what a viewer has of it.
    pub(crate) what: String,
    /// What to do about it, where `what` does not say so.
    pub(crate) remedy: Option<String>,
    /// Whether browsers, or many of them, show no picture because of it.
    pub(crate) stops: bool,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}
