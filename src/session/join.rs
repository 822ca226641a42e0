//! A join: from the text of an offer to a viewer, the answer for it, and what its session keeps.
//!
//! A pure function of the offer, the stream's formats, the place where the viewer will live, entropy and time: HTTP,
//! simulations and benches call the same one. Never takes a place, and never tells a shard.

use std::net::SocketAddr;
use std::time::Instant;

use rand::{CryptoRng, RngExt as _};
use sluice_media::AudioCodec;
use sluice_media::dtls::SharedDtls;

use super::agreed::Agreed;
use super::answer::{Identity, answer, negotiate, restart_fragment, sounds};
use super::offer::{Offer, OfferError, Setup};
use super::sdpfrag::ufrags_of;
use crate::id::{LayerId, SessionId};
use crate::peer::{Credentials, Engine, EngineError, EngineParams, MediaParams, Peer};
use crate::stream::Formats;
use crate::viewer::{FirstSequences, Viewer, ViewerLimits};

/// What a join is made on.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// The layer that it will watch.
    pub layer: LayerId,
    /// Its name: the `a=msid` that groups audio and video for lip sync.
    pub name: &'a str,
    /// What it carries.
    pub formats: &'a Formats,
    /// Where the shard can be reached that the viewer will live on, best first.
    pub candidates: &'a [SocketAddr],
    /// Its port for viewers without UDP, if it has one.
    pub tcp_port: Option<u16>,
    /// Certificate and provider of all engines.
    pub dtls: &'a SharedDtls,
    /// Bounds of the viewer.
    pub limits: ViewerLimits,
    /// Whether lost packets are sent again.
    pub repair: bool,
    /// Whether sound may go with the packet before it in front.
    pub redundancy: bool,
}

/// Why nobody joins.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The offer is none, or cannot be answered.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// It can be answered, and no engine can be made for it.
    #[error("the offer cannot be answered: {0}")]
    Engine(#[from] EngineError),
}

/// An offer that was answered, and no engine yet.
#[derive(Debug)]
pub struct Agreement {
    /// The session, from the generator.
    pub session: SessionId,
    /// The answer (RFC 8866).
    pub answer: String,
    /// Entity tag of the ICE session, with its quotes (RFC 9725 §4.3.1).
    pub etag: String,
    /// The peer's ICE user name fragments.
    pub ufrags: Vec<String>,
    /// Tags of the sections that carry something, in the order of the bundle.
    pub mids: Vec<String>,
    /// The sections that carry something, in the order of the offer.
    pub media: Vec<MediaParams>,
    /// Codecs of sound that the offer takes.
    pub sounds: Vec<AudioCodec>,
    /// What the engine is built from.
    pub engine: EngineParams,
    /// Where video and audio begin to count.
    first_sequences: FirstSequences,
}

/// A viewer that may be handed to its shard, and what its session keeps.
pub struct Joined {
    /// The viewer; its session is in it.
    pub viewer: Viewer,
    /// What was agreed on, but for the engine's part.
    pub answer: String,
    /// Entity tag of the ICE session, with its quotes.
    pub etag: String,
    /// The peer's ICE user name fragments.
    pub ufrags: Vec<String>,
    /// Tags of the sections that carry something.
    pub mids: Vec<String>,
    /// What they carry.
    pub agreed: Agreed,
}

/// Makes a viewer of an offer.
///
/// # Errors
///
/// [`JoinError`]: nothing was taken and nothing has to be undone.
pub fn join(
    offer: &str,
    terms: Terms<'_>,
    entropy: &mut impl CryptoRng,
    now: Instant,
) -> Result<Joined, JoinError> {
    Ok(Agreement::of(offer, terms, entropy)?.begin(terms, now)?)
}

impl Agreement {
    /// Reads an offer and answers it.
    ///
    /// # Errors
    ///
    /// What is wrong with the offer, or with it and the stream together.
    pub fn of(text: &str, terms: Terms<'_>, entropy: &mut impl CryptoRng) -> Result<Agreement, OfferError> {
        let mut offer = Offer::parse(text)?;
        if !terms.repair {
            offer.forget_repair();
        }
        if !terms.redundancy {
            offer.forget_redundancy();
        }
        let negotiated = negotiate(&offer, terms.formats, || entropy.random())?;
        let local = new_credentials(entropy);
        let identity = Identity {
            credentials: &local,
            fingerprint: terms.dtls.fingerprint(),
            candidates: terms.candidates,
            tcp_port: terms.tcp_port,
            // Below 2^62, as JSEP asks (RFC 9429 §5.2.1).
            session_id: entropy.random::<u64>() >> 2,
            stream: terms.name,
        };
        let answer = answer(&offer, &negotiated, &identity);
        let mids = negotiated.mids(&offer);
        let remote = negotiated.transport(&offer).clone();
        Ok(Agreement {
            session: SessionId(entropy.random()),
            answer,
            etag: new_etag(entropy),
            ufrags: ufrags_of(text),
            mids,
            sounds: sounds(&offer),
            engine: EngineParams {
                local_credentials: local,
                remote_credentials: remote.credentials,
                remote_fingerprint: remote.fingerprint,
                dtls_active: remote.setup == Setup::Passive,
                candidates: terms.candidates.to_vec(),
            },
            media: negotiated.media.into_iter().flatten().collect(),
            // Below 32,768, so that the first rollover is far from the start (RFC 3711 §3.3.1).
            first_sequences: FirstSequences {
                video: entropy.random::<u16>() >> 1,
                audio: entropy.random::<u16>() >> 1,
            },
        })
    }

    /// Makes the engine and its viewer.
    ///
    /// # Errors
    ///
    /// The library's, about what the offer holds.
    pub fn begin(self, terms: Terms<'_>, now: Instant) -> Result<Joined, EngineError> {
        let Agreement { session, answer, etag, ufrags, mids, media, sounds, engine, first_sequences } = self;
        let engine = Engine::new(engine, terms.dtls, now)?;
        let agreed = Agreed::of(&media, sounds);
        let ViewerLimits { peer, report_interval } = terms.limits;
        let peer = Peer::new(session, engine, peer, now);
        let viewer = Viewer::new(terms.layer, peer, media, report_interval, first_sequences, now);
        Ok(Joined { viewer, answer, etag, ufrags, mids, agreed })
    }
}

/// An ICE restart of a session that goes on (RFC 9725 §4.3.2).
#[derive(Debug)]
pub struct Restart {
    /// Our new credentials.
    pub local: Credentials,
    /// The fragment that says them (RFC 8840).
    pub fragment: String,
    /// Entity tag of the new ICE session, with its quotes.
    pub etag: String,
}

/// New credentials for a session whose sections `mids` carry something.
pub fn restart(
    mids: &[String],
    name: &str,
    (candidates, tcp_port): (&[SocketAddr], Option<u16>),
    dtls: &SharedDtls,
    entropy: &mut impl CryptoRng,
) -> Restart {
    let local = new_credentials(entropy);
    let identity = Identity {
        credentials: &local,
        fingerprint: dtls.fingerprint(),
        candidates,
        tcp_port,
        session_id: 0,
        stream: name,
    };
    let fragment = restart_fragment(mids, &identity);
    Restart { local, fragment, etag: new_etag(entropy) }
}

/// 48 and 144 bits: RFC 8445 §5.3 asks for 24 and 128.
fn new_credentials(entropy: &mut impl CryptoRng) -> Credentials {
    let ufrag = format!("{:012x}", entropy.random::<u64>() >> 16);
    let pwd = format!("{:032x}{:04x}", entropy.random::<u128>(), entropy.random::<u16>());
    Credentials { ufrag, pwd }
}

fn new_etag(entropy: &mut impl CryptoRng) -> String {
    format!("\"{:016x}\"", entropy.random::<u64>())
}

#[cfg(test)]
#[path = "join_tests.rs"]
mod tests;
