//! Metrics under MediaMTX's names, for dashboards that were made for it (`compat.mediamtx_metrics`).
//!
//! Owns the names, the labels and what a query leaves out. One name's series stand together, and values of labels are
//! escaped, which theirs are not. Each session has 18 series, so there is a limit to how many are told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Instant, SystemTime};

use serde_json::Value;

use super::paths::Path;
use super::sessions::{Outgoing, Session};
use crate::operator::Operator;

/// Sessions with series of their own: the oldest. More would make each scrape longer by 3 KB a session; `paths_*` and the
/// `sluice_*` metrics count all of them.
const SESSIONS_MAX: usize = 1_000;

const PATHS: [(&str, &str); 5] = [
    ("inbound_bytes", "inboundBytes"),
    ("outbound_bytes", "outboundBytes"),
    ("inbound_frames_in_error", "inboundFramesInError"),
    ("bytes_received", "bytesReceived"),
    ("bytes_sent", "bytesSent"),
];

/// The numbers of a session: what stands behind `webrtc_sessions_`, and its name in their JSON.
const SESSIONS: [(&str, &str); 17] = [
    ("inbound_bytes", "inboundBytes"),
    ("inbound_rtp_packets", "inboundRTPPackets"),
    ("inbound_rtp_packets_lost", "inboundRTPPacketsLost"),
    ("inbound_rtp_packets_jitter", "inboundRTPPacketsJitter"),
    ("inbound_rtcp_packets", "inboundRTCPPackets"),
    ("outbound_bytes", "outboundBytes"),
    ("outbound_rtp_packets", "outboundRTPPackets"),
    ("outbound_rtcp_packets", "outboundRTCPPackets"),
    ("outbound_frames_discarded", "outboundFramesDiscarded"),
    ("bytes_received", "bytesReceived"),
    ("bytes_sent", "bytesSent"),
    ("rtp_packets_received", "rtpPacketsReceived"),
    ("rtp_packets_sent", "rtpPacketsSent"),
    ("rtp_packets_lost", "rtpPacketsLost"),
    ("rtp_packets_jitter", "rtpPacketsJitter"),
    ("rtcp_packets_received", "rtcpPacketsReceived"),
    ("rtcp_packets_sent", "rtcpPacketsSent"),
];

/// What has no counterpart here, and is told as theirs is while nothing is connected.
const RTSP_CONNS: [&str; 5] = ["", "_inbound_bytes", "_outbound_bytes", "_bytes_received", "_bytes_sent"];
const RTSP_SESSIONS: [&str; 23] = [
    "",
    "_inbound_bytes",
    "_inbound_rtp_packets",
    "_inbound_rtp_packets_lost",
    "_inbound_rtp_packets_in_error",
    "_inbound_rtp_packets_jitter",
    "_inbound_rtcp_packets",
    "_inbound_rtcp_packets_in_error",
    "_outbound_bytes",
    "_outbound_rtp_packets",
    "_outbound_rtp_packets_reported_lost",
    "_outbound_rtp_packets_discarded",
    "_outbound_rtcp_packets",
    "_bytes_received",
    "_bytes_sent",
    "_rtp_packets_received",
    "_rtp_packets_sent",
    "_rtp_packets_lost",
    "_rtp_packets_in_error",
    "_rtp_packets_jitter",
    "_rtcp_packets_received",
    "_rtcp_packets_sent",
    "_rtcp_packets_in_error",
];

/// What a query asks for: `type`, and one path or one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    kind: Option<String>,
    path: Option<String>,
    session: Option<String>,
    /// A thing of which there is none here.
    other: bool,
}

impl Which {
    /// Of the parameters of a query; nothing if none of them is theirs.
    pub fn of(query: &BTreeMap<String, String>) -> Option<Which> {
        const OTHERS: [&str; 12] = [
            "forward_dest",
            "hls_muxer",
            "hls_session",
            "rtsp_conn",
            "rtsp_session",
            "rtsps_conn",
            "rtsps_session",
            "rtmp_conn",
            "rtmps_conn",
            "srt_conn",
            "moq_session",
            "recording",
        ];
        let said = |name: &str| query.get(name).filter(|value| !value.is_empty()).cloned();
        let (kind, path, session) = (said("type"), said("path"), said("webrtc_session"));
        let other = OTHERS.iter().any(|name| said(name).is_some());
        let asks = kind.is_some() || path.is_some() || session.is_some() || other;
        asks.then_some(Which { kind, path, session, other })
    }

    fn wants(&self, kind: &str, mine: Option<&String>) -> bool {
        let filtered = self.path.is_some() || self.session.is_some() || self.other;
        self.kind.as_ref().is_none_or(|wanted| wanted == kind) && (!filtered || mine.is_some())
    }
}

/// The text of what is asked for; `now` and `date` are the same moment.
pub async fn render(operator: &Operator, which: &Which, moment: (Instant, SystemTime)) -> String {
    let outgoing = Outgoing::of(operator).await;
    let mut text = String::new();
    if which.wants("paths", which.path.as_ref()) {
        let streams = operator.registry.streams();
        let wanted = streams.iter().filter(|s| which.path.as_ref().is_none_or(|name| *name == s.name));
        let paths: Vec<Path> = wanted.map(|stream| Path::of(stream, &outgoing)).collect();
        if !paths.is_empty() || which.path.is_none() {
            write_paths(&mut text, &paths);
        }
    }
    for kind in ["rtsp", "rtsps"] {
        for (things, names) in [("conns", &RTSP_CONNS[..]), ("sessions", &RTSP_SESSIONS[..])] {
            let family = format!("{kind}_{things}");
            if which.wants(&family, None) {
                names.iter().for_each(|name| line(&mut text, &format!("{family}{name}"), "", &0.into()));
            }
        }
    }
    if which.wants("webrtc_sessions", which.session.as_ref()) {
        let mut sessions = outgoing.sessions(moment);
        sessions.retain(|session| which.session.as_ref().is_none_or(|id| *id == session.id));
        if !sessions.is_empty() || which.session.is_none() {
            write_sessions(&mut text, &sessions);
        }
    }
    text
}

fn write_paths(text: &mut String, paths: &[Path]) {
    let told: Vec<(String, Value)> =
        paths.iter().map(|path| (path_labels(path, None), as_json(path))).collect();
    if told.is_empty() {
        line(text, "paths", "", &0.into());
    }
    told.iter().for_each(|(labels, _)| line(text, "paths", labels, &1.into()));
    for path in paths {
        let kind = if path.readers.is_empty() { "" } else { "webRTCSession" };
        line(text, "paths_readers", &path_labels(path, Some(kind)), &path.readers.len().into());
    }
    if told.is_empty() {
        line(text, "paths_readers", "", &0.into());
    }
    write_numbers(text, "paths", &PATHS, &told);
}

fn write_sessions(text: &mut String, sessions: &[Session]) {
    let told: Vec<(String, Value)> = sessions
        .iter()
        .take(SESSIONS_MAX)
        .map(|session| {
            let Session { id, path, remote_addr, state, .. } = session;
            let labels = [("id", &id[..]), ("path", path), ("remoteAddr", remote_addr), ("state", state)];
            (braces(&labels), as_json(session))
        })
        .collect();
    if told.is_empty() {
        line(text, "webrtc_sessions", "", &0.into());
    }
    told.iter().for_each(|(labels, _)| line(text, "webrtc_sessions", labels, &1.into()));
    write_numbers(text, "webrtc_sessions", &SESSIONS, &told);
}

/// Each number of all things; the bare name with 0 where there is none, as theirs.
fn write_numbers(text: &mut String, family: &str, numbers: &[(&str, &str)], told: &[(String, Value)]) {
    for (suffix, member) in numbers {
        let name = format!("{family}_{suffix}");
        if told.is_empty() {
            line(text, &name, "", &0.into());
        }
        told.iter().for_each(|(labels, value)| line(text, &name, labels, &value[*member]));
    }
}

fn path_labels(path: &Path, reader: Option<&str>) -> String {
    let state = if path.ready { "ready" } else { "notReady" };
    let name = ("name", path.name.as_str());
    match reader {
        None => braces(&[name, ("state", state)]),
        Some(kind) => braces(&[name, ("readerType", kind), ("state", state)]),
    }
}

fn braces(labels: &[(&str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let each: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", each.join(","))
}

fn as_json(told: &impl serde::Serialize) -> Value {
    serde_json::to_value(told).expect("texts and numbers can be JSON")
}

fn line(text: &mut String, name: &str, labels: &str, value: &Value) {
    writeln!(text, "{name}{labels} {value}").expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn which(query: &[(&str, &str)]) -> Option<Which> {
        Which::of(&query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_query_leaves_out_what_it_does_not_name() {
        assert_eq!(which(&[]), None);
        assert_eq!(which(&[("other", "x"), ("type", "")]), None);
        for (query, paths, rtsp, sessions) in [
            (&[("type", "paths")], true, false, false),
            (&[("type", "webrtc_sessions")], false, false, true),
            (&[("type", "rtsp_conns")], false, true, false),
            (&[("path", "gate")], true, false, false),
            (&[("webrtc_session", "x")], false, false, true),
            (&[("srt_conn", "x")], false, false, false),
        ] {
            let asked = which(query).expect("a query of theirs");
            let wants = (
                asked.wants("paths", asked.path.as_ref()),
                asked.wants("rtsp_conns", None),
                asked.wants("webrtc_sessions", asked.session.as_ref()),
            );
            assert_eq!(wants, (paths, rtsp, sessions), "{query:?}");
        }
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(
            braces(&[("name", "a\"b\\c\n"), ("state", "ready")]),
            r#"{name="a\"b\\c\n",state="ready"}"#
        );
    }
}
