//! A connectivity check (RFC 8445 §7.3): what can be told of a STUN Binding request without a key.
//!
//! Owns which STUN is looked at at all: Binding requests of a controlling peer, as browsers send them, and
//! nothing else. A server that sends no checks gets no responses; indications and other methods have no use
//! here. What is refused costs a walk over a few attributes, allocates nothing and reaches no library: some
//! of what a stranger may write into STUN is logged there line by line. Whether a check is authentic is
//! found out by the engine.

/// Bytes of a check at the most: what fits any line that carries IPv6 (RFC 8489 §6.1). Browsers need about
/// 120, and hold those that carry DTLS along to 1,200. More lets a stranger have more of it hashed.
const CHECK_MAX: usize = 1_280;

/// Attributes of a check at the most: browsers send up to ten. More lets each datagram of a stranger cost
/// more (some ns each), fewer may lock out a browser of tomorrow.
const ATTRIBUTES_MAX: usize = 24;

/// Bytes before the first attribute (RFC 8489 §5).
const HEADER: usize = 20;

const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
/// From here on an attribute may be ignored by who does not know it.
const OPTIONAL: u16 = 0x8000;
const ALTERNATE_SERVER: u16 = 0x8023;
const ICE_CONTROLLED: u16 = 0x8029;
const NETWORK_COST: u16 = 0xc057;

/// A Binding request that may be an authentic one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check<'a> {
    /// The user name fragment of whom it is for.
    pub ufrag: &'a str,
    /// What tells it from other requests, and names it in the answer.
    pub transaction: [u8; 12],
    /// Whether it nominates the path that it came on (USE-CANDIDATE).
    pub nominates: bool,
    /// All of it.
    pub datagram: &'a [u8],
}

impl Check<'_> {
    /// Reads a datagram; nothing if it is no check that we would answer.
    pub fn parse(datagram: &[u8]) -> Option<Check<'_>> {
        let (header, attributes) = datagram.split_at_checked(HEADER)?;
        let sound = datagram.len() <= CHECK_MAX
            && header[..2] == BINDING_REQUEST
            && usize::from(u16::from_be_bytes([header[2], header[3]])) == attributes.len()
            && header[4..8] == MAGIC;
        if !sound {
            return None;
        }
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&header[8..]);
        let (mut ufrag, mut priority, mut nominates) = (None, false, false);
        for attribute in Attributes(attributes).take(ATTRIBUTES_MAX) {
            let (kind, value) = attribute?;
            match kind {
                // What follows is not covered by it, and must be ignored but for the fingerprint.
                MESSAGE_INTEGRITY => {
                    let ufrag = ufrag.filter(|_| value.len() == 20 && priority)?;
                    return Some(Check { ufrag, transaction, nominates, datagram });
                }
                USERNAME if ufrag.is_none() => {
                    let (ours, theirs) = std::str::from_utf8(value).ok()?.split_once(':')?;
                    ufrag = Some(ours).filter(|ours| !ours.is_empty() && !theirs.is_empty());
                    ufrag?;
                }
                PRIORITY => priority = value.len() == 4,
                USE_CANDIDATE => nominates = true,
                // The peer of an agent that sends no checks is the controlling side (RFC 8445 §6.1.1). One that
                // says otherwise would only make the engine change its own role.
                ICE_CONTROLLED => return None,
                // Of answers, not of requests.
                ALTERNATE_SERVER => return None,
                NETWORK_COST if value.len() != 4 => return None,
                OPTIONAL.. => {}
                // Must be understood, and is not (RFC 8489 §6.3.1). A refusal would be an answer to a stranger.
                _ => return None,
            }
        }
        None
    }

    /// Whether `datagram` says that this check was good: the engine answers none but authentic ones.
    pub(crate) fn is_answered_by(&self, datagram: &[u8]) -> bool {
        datagram.starts_with(&[0x01, 0x01]) && datagram.get(8..HEADER) == Some(&self.transaction)
    }
}

/// Types and values, in order; nothing for one that is cut off.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Option<(u16, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let split = || {
            let (head, rest) = self.0.split_at_checked(4)?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            // Values are padded to whole words.
            let (padded, rest) = rest.split_at_checked(length.next_multiple_of(4))?;
            Some((u16::from_be_bytes([head[0], head[1]]), &padded[..length], rest))
        };
        let found = split();
        self.0 = found.map_or(&[], |(_, _, rest)| rest);
        Some(found.map(|(kind, value, _)| (kind, value)))
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
