//! Why an offer is refused: what was found, the word that it is counted by, and the sentence that is made of both.

use super::payload::FORMATS_MAX;
use super::{LINES_MAX, MID_MAX, SECTIONS_MAX};
use crate::count::Cell;

/// Why an offer is refused. Text of the offer in it is cut to what may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// A line is none: its number from 1, and what is wrong with it.
    #[error("the body is not SDP: line {0} {1}")]
    Line(usize, &'static str),
    /// What the grammar's reader says.
    #[error("the body is not SDP: {0}")]
    Syntax(String),
    /// More lines than are read.
    #[error("the offer has {0} lines; {LINES_MAX} are allowed")]
    Lines(usize),
    /// More media sections than are read.
    #[error("the offer has {0} media sections; {SECTIONS_MAX} are allowed")]
    Sections(usize),
    /// More payload types than there are numbers: section, how many.
    #[error("media section {0} lists {1} payload types; {FORMATS_MAX} are allowed")]
    PayloadTypes(usize, usize),
    /// No media section.
    #[error("the offer has no media section")]
    Empty,
    /// No section that is wanted.
    #[error("every media section of the offer is disabled")]
    Disabled,
    /// Several sections of one kind: how many, and the kind.
    #[error("the offer has {0} {1} sections; a stream has at most one audio and one video")]
    Several(usize, &'static str),
    /// A section without a tag that can be used: its number, and the tag.
    #[error("media section {0} needs an a=mid of 1 to {MID_MAX} visible characters, not {1:?}")]
    Mid(usize, String),
    /// Two sections have one tag.
    #[error("two media sections have the same a=mid")]
    SameMid,
    /// Sections with transports of their own.
    #[error("all media sections must be in one a=group:BUNDLE")]
    Bundle,
    /// A section only sends: its number.
    #[error("media section {0} does not receive: a viewer offers recvonly or sendrecv")]
    Direction(usize),
    /// A section is not encrypted as browsers do it: its number, and its protocol.
    #[error("media section {0} uses {1}; only UDP/TLS/RTP/SAVPF is carried")]
    Protocol(usize, String),
    /// Neither side would send checks.
    #[error("the offer is of an ICE-lite agent; one of the two sides must do full ICE")]
    IceLite,
    /// No ICE credentials.
    #[error("the offer has no a=ice-ufrag and a=ice-pwd")]
    NoCredentials,
    /// ICE credentials that cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// No certificate.
    #[error("the offer has no a=fingerprint: media is only sent encrypted")]
    NoFingerprint,
    /// A digest that is none: its hash function, and the bytes that it has.
    #[error("a=fingerprint:{0} is not {1} bytes of hexadecimal pairs")]
    Digest(&'static str, usize),
    /// No digest by a hash function that is known; those that there are.
    #[error("the offer needs an a=fingerprint by sha-256; it has {0}")]
    Hash(String),
    /// No DTLS role that can be answered.
    #[error("a=setup:{0} cannot be answered; use actpass, active or passive")]
    Setup(String),
    /// No payload type: section, and what stands there.
    #[error("media section {0}: {1:?} is not a payload type of 0 to 127")]
    PayloadType(usize, String),
    /// An encoding without a clock: section, payload type, and the map.
    #[error("media section {0}: a=rtpmap:{1} {2} has no clock rate")]
    ClockRate(usize, u8, String),
    /// The stream's video cannot be carried, and what would help.
    #[error("{0}")]
    Video(String),
    /// Nothing of the stream can be carried; what it has.
    #[error("nothing of this stream ({0}) fits the offer")]
    Nothing(String),
}

/// ICE credentials that cannot be used (RFC 8839 §5.4).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a={name} must be {min} to {max} characters long without spaces or colons; it has {length}")]
pub struct CredentialsError {
    pub(super) name: &'static str,
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) length: usize,
}

/// Words that refusals are counted by.
pub const REASONS: [&str; 7] = ["syntax", "size", "sections", "direction", "ice", "dtls", "codec"];

impl OfferError {
    /// Whether the body is no SDP at all.
    pub fn is_malformed(&self) -> bool {
        self.reason() == "syntax"
    }

    /// One of [`REASONS`].
    pub fn reason(&self) -> &'static str {
        use OfferError::*;
        match self {
            Line(..) | Syntax(_) => "syntax",
            Lines(_) | Sections(_) | PayloadTypes(..) => "size",
            Empty | Disabled | Several(..) | Mid(..) | SameMid | Bundle | Protocol(..) => "sections",
            Direction(_) => "direction",
            IceLite | NoCredentials | Credentials(_) => "ice",
            NoFingerprint | Digest(..) | Hash(_) | Setup(_) => "dtls",
            PayloadType(..) | ClockRate(..) | Video(_) | Nothing(_) => "codec",
        }
    }
}

/// How many offers were refused, by [`REASONS`].
#[derive(Debug, Default)]
pub struct RefusedOffers([Cell; REASONS.len()]);

impl RefusedOffers {
    /// One more.
    pub fn count(&self, error: &OfferError) {
        let place = REASONS.iter().position(|reason| *reason == error.reason());
        place.inspect(|&place| self.0[place].add_shared(1));
    }

    /// Reason and count.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.into_iter().zip(self.0.iter().map(Cell::get))
    }
}
