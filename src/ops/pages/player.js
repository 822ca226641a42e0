// The page of one stream: it plays it by WHEP, and says in words why there is no picture.
//
// Query parameters, with the meaning and the defaults of MediaMTX's page: controls, muted, autoplay,
// playsinline, all 1. A server that wants a token takes it from the fragment (`#token=...`), which no
// browser sends and no server logs.
//
// `window.sluice = {player, stats()}` is a debugging aid; tests/browser reads it too. `stats()` promises a
// plain object, described at `readStats`.

import { WhepPlayer } from "./whep.js";

// As long without a new picture, and the page says so.
const STALL_MS = 3_000;
const POLL_MS = 1_000;

const byId = (id) => document.getElementById(id);
const video = byId("video");
const name = streamName(location.pathname);
const query = new URLSearchParams(location.search);
const token = new URLSearchParams(location.hash.slice(1)).get("token");
const player = new WhepPlayer({ url: new URL("whep", location.href), token });

let firstFrameMs = null;
let countDownTimer = 0;
let frameCallback = 0;
let toolsTimer = 0;
let lastReason = null;
let previousStats = null;

function start() {
  window.sluice = { player, stats: () => readStats(player.pc) };

  document.title = `${name} · Sluice`;
  byId("name").textContent = name;
  video.setAttribute("aria-label", `Stream ${name}`);
  video.muted = flag("muted");
  video.autoplay = flag("autoplay");
  video.playsInline = flag("playsinline");
  byId("tools").hidden = !flag("controls");

  player.addEventListener("state", ({ detail }) => showState(detail));
  player.addEventListener("track", ({ detail }) => attach(detail.stream));
  byId("retry").addEventListener("click", () => player.start());
  byId("toggle-stats").addEventListener("click", toggleStats);
  byId("toggle-muted").addEventListener("click", toggleMuted);
  byId("toggle-fullscreen").addEventListener("click", toggleFullscreen);
  document.addEventListener("keydown", handleKey);
  document.addEventListener("pointermove", wakeTools);
  video.addEventListener("volumechange", showSound);
  video.addEventListener("play", () => video.autoplay || (byId("hint").hidden = true));
  setInterval(poll, POLL_MS);
  showSound();
  wakeTools();
  player.start();
}

// The last segment: a proxy may have put others before it.
function streamName(path) {
  const raw = path.replace(/\/+$/, "").split("/").pop();
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

function flag(parameter) {
  const value = query.get(parameter)?.toLowerCase();
  return !["0", "false", "no"].includes(value);
}

// ------------------------------------------------------------------------------------------- playing

// The picture of the last connection stays until the next one has tracks.
function attach(stream) {
  if (video.srcObject === stream) return;
  video.srcObject = stream;
  // Before there is anything to control, they would only grey the page.
  video.controls = flag("controls");
  const { postedAt } = player;
  firstFrameMs = null;
  video.cancelVideoFrameCallback(frameCallback);
  frameCallback = video.requestVideoFrameCallback((now, frame) => {
    // A connection that ends without a picture leaves a black one behind.
    if (player.postedAt !== postedAt) return;
    firstFrameMs = Math.round(frame.presentationTime - postedAt);
    hideMessage();
  });
  if (video.autoplay) play();
  else if (video.paused) showHint("Play", () => video.play());
}

async function play() {
  try {
    await video.play();
  } catch (error) {
    // Anything else ("AbortError") is a newer connection taking the place of this one.
    if (error.name !== "NotAllowedError") return;
    if (video.muted) {
      showHint("Play (this browser wants a click first)", () => video.play());
    } else {
      video.muted = true;
      showHint("Turn the sound on (this browser wants a click first)", () => (video.muted = false));
      play();
    }
  }
}

function showHint(words, action) {
  const hint = byId("hint");
  hint.textContent = words;
  hint.hidden = false;
  hint.onclick = () => {
    hint.hidden = true;
    action();
  };
}

// -------------------------------------------------------------------------------------------- words

function showState({ state, reason }) {
  stall.reset();
  if (state === "connecting") {
    // While attempts follow each other, the reason for them stays on the screen.
    if (lastReason) byId("message-retry").textContent = "Trying again now …";
    else showMessage({ title: `Connecting to “${name}” …`, detail: "", calm: true });
  } else if (state === "connected") {
    lastReason = null;
    if (!byId("message").hidden)
      showMessage({ title: "Connected. The first picture is on its way …", detail: "", calm: true });
  } else if (reason) {
    lastReason = reason;
    showMessage({ ...explain(reason), retry: true });
    countDown();
  }
}

function explain({ kind, status, detail, ports }) {
  if (kind === "http") return explainStatus(status, detail);
  const port = ports.length === 0 ? "its UDP port" : `port ${ports.map((p) => `${p}/udp`).join(" or ")}`;
  switch (kind) {
    case "network":
      return {
        title: "The server cannot be reached.",
        detail: "The network may be down, or the server is starting again.",
      };
    case "ice":
      return {
        title: "No UDP path to the server.",
        detail: `The page arrived over TCP, but no UDP packet comes through: ${port} of the server must be open to this computer.`,
      };
    case "dtls":
      return {
        title: "The secure connection could not be made.",
        detail: `UDP reaches ${port} of the server, but the DTLS handshake does not end.`,
      };
    case "lost":
      return {
        title: "The connection to the server was lost.",
        detail: `Nothing has come from ${port} for some seconds.`,
      };
    case "closed":
      return { title: "The server ended the session.", detail: "It may be starting again." };
    default:
      return { title: "This browser could not play the stream.", detail: detail ?? "" };
  }
}

function explainStatus(status, detail) {
  const say = (title, otherwise) => ({ title, detail: detail ? sentence(detail) : otherwise });
  switch (status) {
    case 401:
    case 403:
      return say(
        "You may not watch this stream.",
        "The server wants a valid token: add #token=… to the address of this page.",
      );
    case 404:
      return say(
        `There is no stream named “${name}”.`,
        "Check the address, or choose from the list of all streams.",
      );
    case 409:
      return say(
        "The camera is not connected yet.",
        "The picture starts by itself as soon as the camera sends one.",
      );
    case 422:
      return say(
        "This browser cannot play this stream.",
        "The server and the browser have no video or audio format in common.",
      );
    case 429:
      return say("Too many requests from this address.", "The server asks to wait for a moment.");
    case 503:
      return say(
        "The server is full.",
        "It has as many viewers as it may have. A place can become free at any time.",
      );
    default:
      return say(`The server answered with status ${status}.`, "Its log says more.");
  }
}

// The server's words are fragments (lower case, no full stop); the page speaks in sentences.
function sentence(words) {
  return words.charAt(0).toUpperCase() + words.slice(1).replace(/[^.!?]$/, "$&.");
}

// `calm` messages come late and small: most of the time the picture is faster.
function showMessage({ title, detail, retry = false, calm = false }) {
  const set = (id, words) => byId(id).textContent !== words && (byId(id).textContent = words);
  set("message-title", title);
  set("message-detail", detail);
  set("message-retry", "");
  byId("retry").hidden = !retry;
  byId("message").classList.toggle("calm", calm);
  byId("message").hidden = false;
}

function hideMessage() {
  byId("message").hidden = true;
}

function countDown() {
  clearTimeout(countDownTimer);
  if (player.state !== "waiting") return;
  const seconds = Math.max(1, Math.ceil((lastReason.retryAt - performance.now()) / 1000));
  byId("message-retry").textContent = `Trying again in ${seconds} s.`;
  countDownTimer = setTimeout(countDown, 250);
}

// Watches the count of decoded pictures; a connection without them needs words too.
const stall = {
  frames: 0,
  packets: 0,
  since: performance.now(),
  reset() {
    Object.assign(this, { frames: 0, packets: 0, since: performance.now() });
  },
  look(stats) {
    if (!stats.hasVideo) {
      if (stats.hasAudio) showMessage({ title: "This stream has sound only.", detail: "" });
      return;
    }
    const { framesDecoded = 0, packetsReceived = 0 } = stats.video ?? {};
    const now = performance.now();
    if (framesDecoded > this.frames || video.paused) {
      if (framesDecoded > 0) hideMessage();
      Object.assign(this, { frames: framesDecoded, packets: packetsReceived, since: now });
    } else if (now - this.since >= STALL_MS) {
      const detail =
        packetsReceived > this.packets
          ? "Video packets do arrive. The browser waits for a keyframe, or cannot decode this video."
          : "No video packets arrive. The camera may be away; the picture comes back by itself.";
      showMessage({ title: "Connected, but no new picture arrives.", detail });
      byId("message-retry").textContent = `Waiting for ${Math.floor((now - this.since) / 1000)} s.`;
    }
  },
};

// ------------------------------------------------------------------------------------------- keyboard

function handleKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const action = { s: toggleStats, f: toggleFullscreen, m: toggleMuted }[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
}

function toggleStats() {
  const shown = (byId("stats").hidden = !byId("stats").hidden);
  byId("toggle-stats").setAttribute("aria-pressed", String(!shown));
  poll();
}

function toggleMuted() {
  video.muted = !video.muted;
}

function showSound() {
  if (!video.muted) byId("hint").hidden = true;
  byId("toggle-muted").setAttribute("aria-pressed", String(!video.muted));
}

// The whole page and not only the video, so that words and statistics stay visible.
function toggleFullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => {});
}

function wakeTools() {
  document.body.classList.add("awake");
  clearTimeout(toolsTimer);
  toolsTimer = setTimeout(() => document.body.classList.remove("awake"), 3_000);
}

// ------------------------------------------------------------------------------------------ statistics

async function poll() {
  const stats = await readStats(player.pc);
  if (player.state === "connected") stall.look(stats);
  if (!byId("stats").hidden) showStats(stats, previousStats);
  previousStats = stats;
}

// {at, state, timeToFirstFrameMs, hasVideo, hasAudio, video, audio, transport}. `video` and `audio` are the
// members of RTCInboundRtpStreamStats as the browser has them, and `codec` ({mimeType, sdpFmtpLine, ...});
// `transport` is RTCTransportStats, and `pair` ({local, remote, currentRoundTripTime}). Each is null
// while there is none; counters begin at 0 with each connection.
async function readStats(pc) {
  const at = performance.now();
  const stats = {
    at,
    state: player.state,
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

function showStats(now, before) {
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
  byId("stats-rows").replaceChildren(...rows.map(statsRow));
}

function statsRow([label, value]) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = label;
  const cell = document.createElement("td");
  cell.textContent = value;
  row.append(head, cell);
  return row;
}

start();
