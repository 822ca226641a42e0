//! The parts of a join, for whoever wants to know what each costs.

/// Part of a join, as the server does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Reading the offer, negotiating, writing the answer.
    Sdp,
    /// Building the engine and the viewer around it.
    Build,
    /// Handing the viewer to its shard.
    Enter,
    /// STUN requests.
    Stun,
    /// DTLS, up to the derivation of keys.
    Dtls,
    /// Deadlines before media.
    Deadlines,
    /// Everything from the ring, up to the live edge.
    Media,
}

/// Told before and after everything that the server does for a join.
pub trait Watch {
    /// The server begins.
    fn begin(&mut self);
    /// The server is done.
    fn end(&mut self, part: Part);
}

/// Nobody looks.
impl Watch for () {
    fn begin(&mut self) {}
    fn end(&mut self, _part: Part) {}
}
