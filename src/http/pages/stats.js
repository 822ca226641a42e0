// What the browser measures of a connection.

// {at, state, session, timeToFirstFrameMs, hasVideo, hasAudio, video, audio, transport}. `session` is the short id
// that the server's log and its operator call the session by, or null. `video` and `audio` are the
// members of RTCInboundRtpStreamStats as the browser has them, and `codec` ({mimeType, sdpFmtpLine, ...});
// `transport` is RTCTransportStats, and `pair` ({local, remote, currentRoundTripTime}). Each is null
// while there is none; counters begin at 0 with each connection.
export async function readStats(player, firstFrameMs) {
  const { pc } = player;
  const at = performance.now();
  const stats = {
    at,
    state: player.state,
    session: shortId(player.session?.url),
    timeToFirstFrameMs: firstFrameMs,
    hasVideo: false,
    hasAudio: false,
  };
  Object.assign(stats, { video: null, audio: null, transport: null });
  if (!pc) return stats;
  for (const { currentDirection, receiver } of pc.getTransceivers()) {
    if (currentDirection === "recvonly")
      stats[receiver.track.kind === "video" ? "hasVideo" : "hasAudio"] = true;
  }
  const reports = await pc.getStats();
  const address = (id) => {
    const { candidateType, protocol, address, port } = reports.get(id) ?? {};
    return port
      ? `${candidateType} ${protocol} ${address ? `${address}:${port}` : `port ${port}`}`
      : "unknown";
  };
  for (const report of reports.values()) {
    if (report.type === "inbound-rtp") {
      stats[report.kind] = { ...report, codec: reports.get(report.codecId) ?? null };
    } else if (report.type === "transport") {
      const pair = reports.get(report.selectedCandidatePairId);
      stats.transport = {
        ...report,
        pair: pair
          ? { ...pair, local: address(pair.localCandidateId), remote: address(pair.remoteCandidateId) }
          : null,
      };
    }
  }
  return stats;
}

// The beginning of the last part of a session's address: enough to find it, useless to act on it.
function shortId(url) {
  return /\/([0-9a-f]{8})[0-9a-f]{24}$/.exec(url?.pathname ?? "")?.[1] ?? null;
}

// What people read of `now`, with rates since `before`: [label, text] each.
export function statsRows(now, before) {
  const { video: v, audio: a, transport: t } = now;
  // What happened since the last look; nothing when the connection is another one.
  const since = (kind, member) => {
    const difference = now[kind]?.[member] - before?.[kind]?.[member];
    return now[kind]?.id === before?.[kind]?.id && difference >= 0 ? difference : NaN;
  };
  const rate = (kind) => (since(kind, "bytesReceived") * 8) / (now.at - before?.at);
  const delay = (kind) => (since(kind, "jitterBufferDelay") * 1000) / since(kind, "jitterBufferEmittedCount");
  const unit = (value, suffix, digits = 0) =>
    Number.isFinite(value) ? `${value.toFixed(digits)} ${suffix}` : "–";
  const lost = (report) => `${report.packetsLost} of ${report.packetsReceived + report.packetsLost}`;
  const profile = /profile-level-id=(\w+)/.exec(v?.codec?.sdpFmtpLine)?.[1] ?? "";
  const rows = [
    ["State", now.state],
    ["Session", now.session ?? "–"],
    ["First picture", unit(now.timeToFirstFrameMs ?? NaN, "ms after the request")],
  ];
  if (v) {
    rows.push(
      ["Video", `${v.codec?.mimeType ?? ""} ${profile} ${v.frameWidth ?? "?"} × ${v.frameHeight ?? "?"}`],
      [
        "Decoded",
        `${unit(v.framesPerSecond, "frames/s")}, ${v.framesDecoded} in all, ${v.framesDropped} dropped`,
      ],
      ["Video rate", unit(rate("video"), "kb/s")],
      ["Video packets lost", lost(v)],
      ["NACK / PLI sent", `${v.nackCount} / ${v.pliCount}`],
      ["Sent again", `${v.retransmittedPacketsReceived ?? 0} packets`],
      ["Video jitter buffer", unit(delay("video"), "ms")],
      ["Freezes", `${v.freezeCount ?? 0}, ${unit(v.totalFreezesDuration, "s", 1)}`],
    );
  }
  if (a) {
    rows.push(
      ["Audio", `${a.codec?.mimeType ?? ""}, ${a.codec?.channels ?? 1} ch, ${unit(rate("audio"), "kb/s")}`],
      ["Audio packets lost", lost(a)],
      ["Audio jitter buffer", unit(delay("audio"), "ms")],
    );
  }
  if (t) {
    rows.push(
      ["Round trip", unit(t.pair?.currentRoundTripTime * 1000, "ms", 1)],
      ["From", t.pair?.remote ?? "–"],
      ["To", t.pair?.local ?? "–"],
      ["Encryption", t.srtpCipher ?? "–"],
    );
  }
  return rows;
}

export function statsRow([label, value]) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = label;
  const cell = document.createElement("td");
  cell.textContent = value;
  row.append(head, cell);
  return row;
}
