//! What kind of thing keeps a source from being connected: a word that pages and scripts can act on.
//!
//! Owns the words. The sentence, with what the camera said, is its source's.

/// Why a source is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its host name does not resolve, or its URL is none.
    Name,
    /// Nothing answers at its address.
    Unreachable,
    /// It wants user and password, and was given none.
    NoCredentials,
    /// User or password are wrong.
    Credentials,
    /// It lets this user see nothing, or asks in a way that is not answered.
    Refused,
    /// It has no such stream.
    Path,
    /// It has no room for another session.
    Full,
    /// It sends nothing that can be forwarded, or in no way that is read.
    Media,
    /// It was connected, and sends nothing or closes.
    Broken,
    /// Sluice failed.
    Internal,
}

impl Cause {
    /// All of them, for metrics.
    pub const ALL: [Cause; 10] = [
        Cause::Name,
        Cause::Unreachable,
        Cause::NoCredentials,
        Cause::Credentials,
        Cause::Refused,
        Cause::Path,
        Cause::Full,
        Cause::Media,
        Cause::Broken,
        Cause::Internal,
    ];

    /// Whether somebody who waits changes nothing: it takes an operator, and a camera that is asked often locks us out.
    pub fn needs_operator(self) -> bool {
        matches!(self, Cause::NoCredentials | Cause::Credentials | Cause::Refused | Cause::Media)
    }

    /// Its name in JSON and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Name => "name",
            Cause::Unreachable => "unreachable",
            Cause::NoCredentials => "no_credentials",
            Cause::Credentials => "credentials",
            Cause::Refused => "refused",
            Cause::Path => "path",
            Cause::Full => "full",
            Cause::Media => "media",
            Cause::Broken => "broken",
            Cause::Internal => "internal",
        }
    }
}
