// The page of one stream: it plays it by WHEP, and says in words why there is no picture.
//
// Query parameters, with the meaning and the defaults of MediaMTX's page: controls, muted, autoplay and
// playsinline, all 1, and disablepictureinpicture, 0. And of its own: layer, `high` or `low`, of a stream that has both. All of the query goes along to `whep`, as from MediaMTX's page: a
// server that is asked who may watch (access.hook) may judge by it. A server that wants a token takes it from the
// fragment (`#token=...`) too, which no browser sends and no server logs.
//
// `window.sluice = {player, stats()}` is a debugging aid; tests/browser reads it too. `stats()` promises a
// plain object, described at `readStats`.

import { copyText } from "./copy.js";
import { explain, explainStill, isWoken } from "./explain.js";
import { Layers } from "./layers.js";
import { Neighbours } from "./neighbours.js";
import { saveSnapshot } from "./snapshot.js";
import { readStats, statsRow, statsRows } from "./stats.js";
import { passedOn, token, untold } from "./token.js";
import { WhepPlayer } from "./whep.js";

// As long without a new picture, and the page says so.
const STALL_MS = 3_000;
const POLL_MS = 1_000;
// Time after which the server is asked again why no picture comes.
const ASK_MS = 5_000;
// Most answers are there sooner; one that is not may be waiting for a camera that is woken.
const SLOW_ANSWER_MS = 1_500;

const byId = (id) => document.getElementById(id);
const video = byId("video");
// The server knows how many segments the name has; a proxy may have put others before it.
const root = new URL(byId("all").getAttribute("href"), location.href);
const name = streamName(location.pathname.slice(root.pathname.length));
const query = new URLSearchParams(location.search);
const player = new WhepPlayer({ url: passedOn(new URL("whep", location.href)), token });
const neighbours = new Neighbours(root, name);
const layers = new Layers(player, byId("layer"), byId("layer-note"));

let firstFrameMs = null;
let countDownTimer = 0;
let frameCallback = 0;
let toolsTimer = 0;
let slowTimer = 0;
let lastReason = null;
let previousStats = null;
let shownRows = [];

function start() {
  window.sluice = { player, layers, stats: () => readStats(player, firstFrameMs) };

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
  byId("toggle-pip").addEventListener("click", togglePictureInPicture);
  video.disablePictureInPicture = flag("disablepictureinpicture", false);
  byId("toggle-pip").hidden = video.disablePictureInPicture || !document.pictureInPictureEnabled;
  byId("snapshot").addEventListener("click", snapshot);
  byId("previous").addEventListener("click", () => go(-1));
  byId("next").addEventListener("click", () => go(1));
  byId("copy-stats").addEventListener("click", () => copyText(statsText(), byId("copy-stats")));
  document.addEventListener("keydown", handleKey);
  for (const sign of ["pointermove", "pointerdown", "keydown"]) document.addEventListener(sign, wakeTools);
  video.addEventListener("volumechange", showSound);
  video.addEventListener("play", () => video.autoplay || (byId("hint").hidden = true));
  setInterval(poll, POLL_MS);
  showSound();
  wakeTools();
  player.start();
}

function streamName(path) {
  const raw = path.replace(/\/+$/, "");
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

function flag(parameter, otherwise = true) {
  const value = query.get(parameter)?.toLowerCase();
  return otherwise ? !["0", "false", "no"].includes(value) : ["1", "true", "yes"].includes(value);
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
  clearTimeout(slowTimer);
  if (state === "connecting") {
    slowTimer = setTimeout(sayThatItIsWoken, SLOW_ANSWER_MS);
    // While attempts follow each other, the reason for them stays on the screen.
    if (lastReason) byId("message-retry").textContent = "Trying again now …";
    else showMessage({ title: `Connecting to “${name}” …`, detail: "", calm: true });
  } else if (state === "connected") {
    lastReason = null;
    if (!byId("message").hidden)
      showMessage({ title: "Connected. The first picture is on its way …", detail: "", calm: true });
  } else if (reason) {
    lastReason = reason;
    showMessage({ ...explain(name, reason), retry: true });
    countDown();
  }
}

// Says so, if that is what the server does before it answers.
async function sayThatItIsWoken() {
  const { postedAt } = player;
  const woken = await isWoken(name);
  if (!woken || player.state !== "connecting" || player.postedAt !== postedAt || player.session) return;
  showMessage({
    title: `Waking “${name}” …`,
    detail: "This camera is connected only while somebody watches. Its first picture takes a moment.",
  });
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
  // What the server says of it, and when it was asked.
  words: "",
  asked: -Infinity,
  reset() {
    Object.assign(this, { frames: 0, packets: 0, since: performance.now(), words: "", asked: -Infinity });
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
      this.reset();
      Object.assign(this, { frames: framesDecoded, packets: packetsReceived });
    } else if (now - this.since >= STALL_MS) {
      const arrives = packetsReceived > this.packets;
      this.ask(now, arrives);
      const otherwise = arrives
        ? "Video packets do arrive. The browser waits for a keyframe, or cannot decode this video."
        : "No video packets arrive. The camera may be away; the picture comes back by itself.";
      showMessage({ title: "Connected, but no new picture arrives.", detail: this.words || otherwise });
      byId("message-retry").textContent = `Waiting for ${Math.floor((now - this.since) / 1000)} s.`;
    }
  },
  async ask(now, arrives) {
    if (now - this.asked < ASK_MS) return;
    this.asked = now;
    const words = await explainStill(name, layers.told?.encodingId, arrives);
    // The picture may have come back meanwhile.
    if (this.asked === now) this.words = words;
  },
};

// ------------------------------------------------------------------------------------------- keyboard

const KEYS = {
  s: toggleStats,
  f: toggleFullscreen,
  m: toggleMuted,
  c: snapshot,
  i: togglePictureInPicture,
  arrowleft: () => go(-1),
  arrowright: () => go(1),
};

function handleKey(event) {
  // Letters and arrows choose in an open menu.
  if (event.target instanceof HTMLSelectElement) return;
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const action = KEYS[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
}

// Not from within another site's page, which has chosen this stream.
async function go(step) {
  const address = flag("controls") ? await neighbours.address(step) : null;
  if (address) location.assign(address);
}

async function snapshot() {
  if (!(await saveSnapshot(video, name))) return;
  video.classList.add("flash");
  setTimeout(() => video.classList.remove("flash"), 250);
}

async function togglePictureInPicture() {
  try {
    if (document.pictureInPictureElement) await document.exitPictureInPicture();
    else await video.requestPictureInPicture();
  } catch {
    // There is no picture yet, or the browser allows none.
  }
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
  const stats = await readStats(player, firstFrameMs);
  // Of the last attempt while there is none: whoever complains does so then.
  stats.session ??= previousStats?.session ?? null;
  if (player.state === "connected") stall.look(stats);
  layers.look();
  shownRows = statsRows(stats, previousStats);
  if (!byId("stats").hidden) byId("stats-rows").replaceChildren(...shownRows.map(statsRow));
  previousStats = stats;
}

// For a report: without the token of the address.
function statsText() {
  const rows = [
    ["Page", untold()],
    ["Time", new Date().toISOString()],
    ["Browser", navigator.userAgent],
    ...shownRows,
  ];
  return rows.map(([label, value]) => `${label}: ${value}`).join("\n");
}

start();
