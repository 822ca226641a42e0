//! Metrics of TLS: certificates and handshakes.

use std::fmt;
use std::sync::Arc;

use super::out::{Out, label};
use crate::count::TlsCounters;

/// Writes them, for each listener that has TLS.
pub(super) fn encode(out: &mut Out<'_>, listeners: &[(&'static str, Arc<TlsCounters>)]) -> fmt::Result {
    let expiry = listeners.iter().map(|(name, c)| (label("listener", name), c.expires.get() as f64));
    let help = "When the certificate that the listener shows expires, in seconds since 1970; 0 while it waits for its first";
    out.gauge("tls_certificate_expiry_timestamp_seconds", help, expiry)?;
    let refused = listeners.iter().map(|(name, c)| (label("listener", name), c.refused.get()));
    let help = "Times that the files of a certificate had changed and could not be used";
    out.counter("tls_certificates_refused", help, refused)?;
    let orders = listeners.iter().flat_map(|(name, c)| {
        [("good", &c.ordered), ("failed", &c.not_ordered)].map(|(result, count)| {
            (vec![("listener", (*name).to_owned()), ("result", result.to_owned())], count.get())
        })
    });
    let help = "Certificates that ACME was asked for, by what came of it";
    out.counter("tls_acme_orders", help, orders)?;
    let handshakes = listeners.iter().flat_map(|(name, c)| {
        let results =
            [("good", &c.handshakes), ("failed", &c.failed), ("late", &c.late), ("plain", &c.plain)];
        results.map(|(result, count)| {
            let labels = vec![("listener", (*name).to_owned()), ("result", result.to_owned())];
            (labels, count.get())
        })
    });
    let help = "Connections to a listener with TLS, by what became of its handshake";
    out.counter("tls_handshakes", help, handshakes)
}
