//! RTP payloads of one picture back to NAL units, as MP4 files hold them (ISO/IEC 14496-15).
//!
//! Reads strictly what our own packetizer writes. Never decodes.

use shiguredo_mp4::boxes::SampleEntry;

use super::{Fragment, NalCodec, Payload, Role};

/// A picture as MP4 has it.
#[derive(Debug)]
pub struct Unpacked {
    /// How it is decoded, with its parameter sets.
    pub entry: Result<SampleEntry, String>,
    /// Bytes of its parameter sets, each with a length before it.
    pub set_bytes: usize,
    /// All other NAL units, each behind its length in 32 bits. Empty if there are none.
    pub sample: Vec<u8>,
}

/// A picture that is put together from its payloads.
#[derive(Debug)]
pub struct Unpacker {
    codec: &'static dyn NalCodec,
    sets: Vec<Vec<u8>>,
    sample: Vec<u8>,
    /// Where in `sample` the length of the NAL unit is whose fragments come.
    open: Option<usize>,
}

impl Unpacker {
    pub(crate) fn new(codec: &'static dyn NalCodec, bytes: usize) -> Unpacker {
        Unpacker { codec, sets: Vec::new(), sample: Vec::with_capacity(bytes), open: None }
    }

    /// Takes the next payload, or says what is wrong with it.
    pub fn push(&mut self, payload: &[u8]) -> Result<(), &'static str> {
        if payload.is_empty() {
            return Err("it is empty");
        }
        match self.codec.payload(payload) {
            Payload::Fragment(fragment) => self.fragment(fragment),
            _ if self.open.is_some() => Err("the fragments before it have no end"),
            Payload::Aggregate(units) => self.aggregate(units),
            Payload::Unit(nal) => self.nal(nal, "its NAL unit type is none that a picture has"),
            Payload::Foreign => Err("a fragment has no header"),
        }
    }

    fn aggregate(&mut self, mut units: &[u8]) -> Result<(), &'static str> {
        while let Some((length, rest)) = units.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (nal, rest) = rest.split_at_checked(length).ok_or("an aggregated unit ends behind it")?;
            self.nal(nal, "an aggregated unit is empty, or none that a picture has")?;
            units = rest;
        }
        if units.is_empty() { Ok(()) } else { Err("a byte is left behind its last aggregated unit") }
    }

    fn nal(&mut self, nal: &[u8], malformed: &'static str) -> Result<(), &'static str> {
        match self.codec.role(nal) {
            Role::Malformed => return Err(malformed),
            Role::Set(_) => self.sets.push(nal.to_vec()),
            _ => {
                let at = self.begin();
                self.sample.extend_from_slice(nal);
                self.end(at);
            }
        }
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<(), &'static str> {
        let at = match (fragment.first, self.open) {
            (true, None) => {
                let at = self.begin();
                self.sample.extend_from_slice(fragment.header.bytes());
                at
            }
            (false, Some(at)) => at,
            (true, Some(_)) => return Err("the fragments before it have no end"),
            (false, None) => return Err("a fragment comes without its start"),
        };
        self.sample.extend_from_slice(fragment.part);
        self.open = Some(at);
        if fragment.last {
            self.end(at);
            self.open = None;
        }
        Ok(())
    }

    /// Makes room for a length, and says where.
    fn begin(&mut self) -> usize {
        let at = self.sample.len();
        self.sample.extend([0; 4]);
        at
    }

    /// Writes the length of what came behind its place. A picture is far below 4 GiB.
    fn end(&mut self, at: usize) {
        let length = (self.sample.len() - at - 4) as u32;
        self.sample[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// The picture, if its last NAL unit is whole.
    pub fn finish(mut self) -> Option<Unpacked> {
        if self.open.is_some() {
            return None;
        }
        // The newest come last in our trains; players take size and profile from the first.
        self.sets.reverse();
        let set_bytes = self.sets.iter().map(|set| 2 + set.len()).sum();
        Some(Unpacked { entry: self.codec.sample_entry(&self.sets), set_bytes, sample: self.sample })
    }
}
