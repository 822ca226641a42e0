//! Typed configuration: one file, the environment and the command line become a [`Config`] that is entirely valid,
//! or a [`ConfigError`] that shows every problem with its line, its column and the way out. It never reads a clock,
//! opens a socket or resolves a name, and it never prints a secret.
//!
//! Later sources win: defaults, the file, `SLUICE_*` variables, `--set key=value`, `name=url` arguments.

#![forbid(unsafe_code)]

mod absent;
mod access;
mod acme;
mod book;
mod config;
mod edit;
mod environment;
mod error;
mod fingerprint;
mod go_duration;
mod json_schema;
mod load;
mod misfit;
mod network;
mod parse;
mod password;
mod pattern;
mod reach;
mod redact;
mod reference;
mod resolve;
mod rtsp_url;
mod schema;
mod setting;
mod stream;
mod stream_key;
mod suggest;
mod template;
mod units;
mod value;
mod variable;
mod web_url;

pub use access::{Access, Action, Hook, Jwt, JwtAlgorithm, KeySource, User, UserName};
pub use acme::Acme;
pub use book::configuration_book;
pub use config::{
    Admin, CONSENT_MIN, Cipher, Compat, Config, Drain, Egress, FRAME_MAX, Http, HttpTls, Ice, IceAddress,
    Limits, Log, LogFormat, Metrics, OnDemand, Origin, Pprof, Reading, Rtcp, Rtsp, Shards, Srtp, Tls, Track,
    Transport, Udp,
};
pub use edit::{NotToml, StreamText, with_stream};
pub use environment::{CredentialError, environment};
pub use error::{ConfigError, Mistake};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use go_duration::go_duration;
pub use json_schema::json_schema;
pub use load::{File, Inputs, effective, load};
pub use misfit::Misfit;
pub use network::Network;
pub use parse::check_log_level;
pub use password::Password;
pub use pattern::Pattern;
pub use reach::Reach;
pub use redact::redact;
pub use resolve::{KeyInfo, Reload};
pub use rtsp_url::{Credentials, Line, RtspUrl, RtspUrlError, Secret};
pub use schema::keys;
pub use setting::{Effective, Given, Setting};
pub use stream::{Cameras, NAME_MAX, SOURCES_MAX, Source, Stream, StreamName, StreamNameError, is_reserved};
pub use stream_key::{StreamKey, StreamPattern};
pub use suggest::nearest;
pub use units::{Bitrate, Bytes, UnitError, format_duration, parse_duration};
pub use value::Shape;
pub use web_url::WebUrl;
