//! Every key of MediaMTX's configuration by name, those that it calls deprecated too, and what becomes of it.
//!
//! Owns the words for what is not here: why, and what to do. How a key is taken over is in `global`, `users` and `paths`.

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is taken over by code.
    Taken,
    /// It means nothing here, and nothing is lost: why.
    Needless(&'static str),
    /// It is not here: what to do, where its value is not what MediaMTX has anyway.
    Missing { usual: &'static str, then: &'static str },
    /// It only says how a thing is done that is not here, and that another key switches on.
    Detail,
}

use Fate::{Detail, Needless, Taken};

const fn missing(then: &'static str) -> Fate {
    Fate::Missing { usual: "", then }
}

const fn unless(usual: &'static str, then: &'static str) -> Fate {
    Fate::Missing { usual, then }
}

const HOOK: &str = "no commands are run: ask /v3/paths/list or follow /api/v1/events, or have Prometheus alert on \
                    sluice_stream_up";
const DEMAND: &str = "no command is run for a stream that somebody wants: run it all the time, and give its RTSP address as source";
const RECORD: &str = "nothing is recorded: let a recorder pull the camera itself";
const JOURNAL: &str = "the log goes to standard error: the journal of systemd, or a file by redirection";
const ANY_PORT: &str = "datagrams are taken from any port of the camera's address";
const ORIGINS: &str = "pages of other sites may not ask the admin listener";
const PROXIES: &str = "http.trusted_proxies says who may tell who asks, on every listener: name them there";
const BUFFERS: &str = "udp.receive_buffer is for viewers; of cameras over UDP the kernel's default holds";

/// Outside of paths.
pub(super) const GLOBAL: &[(&str, Fate)] = &[
    ("logLevel", Taken),
    ("logDestinations", unless("stdout", JOURNAL)),
    ("logStructured", Taken),
    ("logFile", Detail),
    ("sysLogPrefix", Detail),
    ("dumpPackets", missing("use tcpdump")),
    ("readTimeout", Taken),
    ("writeTimeout", Needless("a viewer that is slow is sent less, and nobody waits for it")),
    ("readBufferCount", Needless("queues have bounds of their own")),
    ("writeQueueSize", Needless("queues have bounds of their own")),
    ("udpMaxPayloadSize", Needless("packets have at most 1,174 bytes of payload, and fit any path of IPv6")),
    ("udpReadBufferSize", Taken),
    ("runOnConnect", missing(HOOK)),
    ("runOnConnectRestart", Detail),
    ("runOnDisconnect", missing(HOOK)),
    ("authMethod", Taken),
    ("authInternalUsers", Taken),
    ("authHTTPAddress", Taken),
    ("externalAuthenticationURL", Taken),
    ("authHTTPFingerprint", missing("the hook's certificate must be one that the machine trusts")),
    ("authHTTPExclude", Taken),
    ("authJWTJWKS", Taken),
    ("authJWTJWKSFingerprint", missing("the certificate of the JWKS must be one that the machine trusts")),
    ("authJWTClaimKey", Taken),
    ("authJWTExclude", Taken),
    ("authJWTInHTTPQuery", Taken),
    ("authJWTIssuer", Taken),
    ("authJWTAudience", Taken),
    ("api", Taken),
    ("apiAddress", Taken),
    ("apiEncryption", Taken),
    ("apiServerKey", Taken),
    ("apiServerCert", Taken),
    ("apiAllowOrigin", unless("*", ORIGINS)),
    ("apiAllowOrigins", unless("*", ORIGINS)),
    ("apiTrustedProxies", missing(PROXIES)),
    ("metrics", Taken),
    ("metricsAddress", Taken),
    ("metricsEncryption", missing("metrics.listen is plain HTTP: scrape admin.listen, which has admin.tls")),
    ("metricsServerKey", Detail),
    ("metricsServerCert", Detail),
    ("metricsAllowOrigin", unless("*", ORIGINS)),
    ("metricsAllowOrigins", unless("*", ORIGINS)),
    ("metricsTrustedProxies", missing(PROXIES)),
    ("pprof", Taken),
    ("pprofAddress", Taken),
    ("pprofEncryption", missing("pprof.listen is plain HTTP: use admin.listen, which has admin.tls")),
    ("pprofServerKey", Detail),
    ("pprofServerCert", Detail),
    ("pprofAllowOrigin", unless("*", ORIGINS)),
    ("pprofAllowOrigins", unless("*", ORIGINS)),
    ("pprofTrustedProxies", missing(PROXIES)),
    ("playback", missing("nothing is recorded or played back")),
    ("rtsp", missing("nobody can read or publish by RTSP here: let readers pull the camera itself")),
    ("rtspDisable", Detail),
    ("rtmp", missing("there is no RTMP: have the encoder offer RTSP, and give that as source")),
    ("rtmpDisable", Detail),
    ("hls", missing("there is no HLS: pages play by WebRTC, /NAME/frame.mp4 is the newest picture")),
    ("hlsDisable", Detail),
    ("srt", missing("there is no SRT: have the encoder offer RTSP, and give that as source")),
    ("moq", missing("there is no MoQ: pages play by WebRTC")),
    ("webrtc", Taken),
    ("webrtcDisable", Taken),
    ("webrtcAddress", Taken),
    ("webrtcEncryption", Taken),
    ("webrtcServerKey", Taken),
    ("webrtcServerCert", Taken),
    ("webrtcAllowOrigin", Taken),
    ("webrtcAllowOrigins", Taken),
    ("webrtcTrustedProxies", Taken),
    ("webrtcLocalUDPAddress", Taken),
    ("webrtcICEUDPMuxAddress", Taken),
    ("webrtcLocalTCPAddress", Taken),
    ("webrtcICETCPMuxAddress", Taken),
    ("webrtcIPsFromInterfaces", Taken),
    ("webrtcIPsFromInterfacesList", Taken),
    ("webrtcAdditionalHosts", Taken),
    ("webrtcICEHostNAT1To1IPs", Taken),
    ("webrtcICEServers", missing(ICE_SERVERS)),
    ("webrtcICEServers2", missing(ICE_SERVERS)),
    ("webrtcSTUNGatherTimeout", Needless("no STUN server is asked")),
    ("webrtcHandshakeTimeout", Taken),
    ("webrtcTrackGatherTimeout", Needless("the tracks of a stream are known before anybody joins")),
    ("serverKey", Detail),
    ("serverCert", Detail),
    ("protocols", Detail),
    ("encryption", Detail),
    ("authMethods", Detail),
    ("record", missing(RECORD)),
    ("recordPath", Detail),
    ("recordFormat", Detail),
    ("recordPartDuration", Detail),
    ("recordSegmentDuration", Detail),
    ("recordDeleteAfter", Detail),
    ("pathDefaults", Taken),
    ("paths", Taken),
];

const ICE_SERVERS: &str = "no STUN or TURN server is used: the addresses that viewers reach go into ice.addresses, and \
                           udp.port must be open to them";

/// Beginnings of keys that say how a server works that is not here.
pub(super) const SERVERS: &[&str] =
    &["rtsp", "rtp", "rtcp", "srtp", "srtcp", "multicast", "rtmp", "hls", "srt", "moq", "playback"];

/// Of a path, and of `pathDefaults`.
pub(super) const PATH: &[(&str, Fate)] = &[
    ("source", Taken),
    ("sourceFingerprint", Taken),
    ("sourceOnDemand", Taken),
    ("sourceOnDemandStartTimeout", Taken),
    ("sourceOnDemandCloseAfter", Taken),
    ("maxReaders", Taken),
    ("srtReadPassphrase", Detail),
    ("fallback", missing("there is no other stream to fall back to: the page says why there is no picture")),
    ("useAbsoluteTimestamp", Needless("timestamps are continuous, whatever the camera's do")),
    (
        "alwaysAvailable",
        missing(
            "viewers stay while a camera is away, and see pictures again when it is back; no picture stands in",
        ),
    ),
    ("alwaysAvailableTracks", Detail),
    ("alwaysAvailableFile", Detail),
    ("forward", missing("streams are not sent to other servers")),
    ("record", missing(RECORD)),
    ("playback", Detail),
    ("recordPath", Detail),
    ("recordFormat", Detail),
    ("recordPartDuration", Detail),
    ("recordMaxPartSize", Detail),
    ("recordSegmentDuration", Detail),
    ("recordDeleteAfter", Detail),
    ("publishUser", Taken),
    ("publishPass", Taken),
    ("publishIPs", Taken),
    ("readUser", Taken),
    ("readPass", Taken),
    ("readIPs", Taken),
    ("overridePublisher", Detail),
    ("disablePublisherOverride", Detail),
    ("srtPublishPassphrase", Detail),
    ("rtspDemuxMpegts", missing("MPEG-TS within RTSP is not read: set the camera to plain RTSP")),
    ("rtspTransport", Taken),
    ("sourceProtocol", Taken),
    ("rtspAnyPort", Needless(ANY_PORT)),
    ("sourceAnyPortEnable", Needless(ANY_PORT)),
    ("rtspRangeType", missing("a source is live: no part of a recording is asked for")),
    ("rtspRangeStart", Detail),
    ("rtspScale", missing("a source is live, at its own speed")),
    ("rtspUDPReadBufferSize", missing(BUFFERS)),
    ("rtspUDPSourcePortRange", Needless("the kernel gives ports for cameras over UDP")),
    ("mpegtsUDPReadBufferSize", Detail),
    ("rtpSDP", Detail),
    ("rtpUDPReadBufferSize", Detail),
    ("moqTransport", Detail),
    ("whepBearerToken", Detail),
    ("whepSTUNGatherTimeout", Detail),
    ("whepHandshakeTimeout", Detail),
    ("whepTrackGatherTimeout", Detail),
    ("sourceRedirect", Detail),
    ("runOnInit", missing(HOOK)),
    ("runOnInitRestart", Detail),
    ("runOnDemand", missing(DEMAND)),
    ("runOnDemandRestart", Detail),
    ("runOnDemandStartTimeout", Detail),
    ("runOnDemandCloseAfter", Detail),
    ("runOnUnDemand", missing(DEMAND)),
    ("runOnReady", missing(HOOK)),
    ("runOnReadyRestart", Detail),
    ("runOnNotReady", missing(HOOK)),
    ("runOnAvailable", missing(HOOK)),
    ("runOnAvailableRestart", Detail),
    ("runOnUnavailable", missing(HOOK)),
    ("runOnOnline", missing(HOOK)),
    ("runOnOnlineRestart", Detail),
    ("runOnOffline", missing(HOOK)),
    ("runOnRead", missing(HOOK)),
    ("runOnReadRestart", Detail),
    ("runOnUnread", missing(HOOK)),
    ("runOnRecordSegmentCreate", missing(RECORD)),
    ("runOnRecordSegmentComplete", missing(RECORD)),
];

/// What becomes of a key outside of paths; nothing if it is none of MediaMTX's.
pub(super) fn global(key: &str) -> Option<Fate> {
    let known = GLOBAL.iter().find(|(name, _)| *name == key).map(|(_, fate)| *fate);
    let of_server = |server: &&&str| {
        key.strip_prefix(**server)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase() || c == 's'))
    };
    known.or_else(|| SERVERS.iter().find(of_server).map(|_| Detail))
}

/// What is said of a key that is none of MediaMTX's.
pub(super) fn unknown(key: &str, of_path: bool) -> String {
    let words = "no key of MediaMTX 1.20 has this name";
    let known = if of_path { PATH } else { GLOBAL };
    match sluice_config::nearest(key, known.iter().map(|(name, _)| *name)) {
        Some(meant) => format!("{words}; was {meant} meant?"),
        None => words.to_owned(),
    }
}

/// What becomes of a key of a path.
pub(super) fn path(key: &str) -> Option<Fate> {
    let known = PATH.iter().find(|(name, _)| *name == key).map(|(_, fate)| *fate);
    known.or_else(|| key.starts_with("rpiCamera").then_some(Detail))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_is_known_once() {
        for table in [GLOBAL, PATH] {
            let names: BTreeSet<&str> = table.iter().map(|(name, _)| *name).collect();
            assert_eq!(names.len(), table.len());
        }
        for (key, known) in [
            ("hlsSegmentCount", true),
            ("rtspsAddress", true),
            ("multicastIPRange", true),
            ("srtpAddress", true),
            ("playbackAddress", true),
            ("hlsegment", false),
            ("webrtcadress", false),
        ] {
            assert_eq!(global(key).is_some(), known, "{key}");
        }
        assert_eq!((path("rpiCameraWidth"), path("sources")), (Some(Detail), None));
        assert!(unknown("webrtcAdress", false).ends_with("; was webrtcAddress meant?"));
        assert!(unknown("sources", true).ends_with("; was source meant?"));
        assert!(unknown("webrtcFoo", false).ends_with("has this name"));
    }
}
