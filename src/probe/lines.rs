//! The lines of a stream for the configuration file.
//!
//! Owns that they can be read as they are and hold no secret.

use sluice_config::{Fingerprint, RtspUrl, StreamName, Transport};

/// What stands for secrets.
const PLACEHOLDER: &str = "PASSWORD";

/// The lines of a stream of one camera, or of its two streams, the high one first. The transport only where it is not the
/// default.
pub(super) fn lines(
    sources: &[&RtspUrl],
    name: &StreamName,
    transport: Transport,
    fingerprint: Option<Fingerprint>,
) -> String {
    // A string of JSON is one of TOML, too.
    let quoted = |url: &&RtspUrl| serde_json::Value::from(url.template(PLACEHOLDER)).to_string();
    let source = match &sources.iter().map(quoted).collect::<Vec<_>>()[..] {
        [high, low] => format!("{{ high = {high}, low = {low} }}"),
        one => one.concat(),
    };
    let mut text = format!("[streams.{name}]\n");
    if source.contains(PLACEHOLDER) {
        text += &format!(
            "# Write the password for {PLACEHOLDER}, in it % as %25, @ as %40, / as %2F, ? as %3F and # as %23"
        );
        text += &format!(
            ";\n# or leave `source` out, and give {} as the variable {}.\n",
            if sources.len() > 1 { "what is behind `source =`" } else { "the whole URL" },
            name.source_variable()
        );
    }
    text += &format!("source = {source}\n");
    if transport != Transport::Tcp {
        text += &format!("rtsp_transport = \"{}\"\n", transport.name());
    }
    if let Some(fingerprint) = fingerprint {
        text += &format!("rtsp_fingerprint = \"{fingerprint}\"\n");
    }
    text
}
