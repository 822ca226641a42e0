//! The lines of a stream for the configuration file.
//!
//! Owns that they can be read as they are and hold no secret.

use sluice_config::{Fingerprint, RtspUrl, StreamName, Transport};

/// What stands for secrets.
const PLACEHOLDER: &str = "PASSWORD";

/// The lines. The transport only where it is not the default.
pub(super) fn lines(
    url: &RtspUrl,
    name: &StreamName,
    transport: Transport,
    fingerprint: Option<Fingerprint>,
) -> String {
    let source = url.template(PLACEHOLDER);
    // A string of JSON is one of TOML, too.
    let quoted = serde_json::Value::from(source.as_str());
    let mut text = format!("[streams.{name}]\n");
    if source.contains(PLACEHOLDER) {
        text += &format!(
            "# Write the password for {PLACEHOLDER}, in it % as %25, @ as %40, / as %2F, ? as %3F and # as %23"
        );
        text += &format!(
            ";\n# or leave `source` out, and give the whole URL as the variable {}.\n",
            name.source_variable()
        );
    }
    text += &format!("source = {quoted}\n");
    if transport != Transport::Tcp {
        text += &format!("rtsp_transport = \"{}\"\n", transport.name());
    }
    if let Some(fingerprint) = fingerprint {
        text += &format!("rtsp_fingerprint = \"{fingerprint}\"\n");
    }
    text
}
