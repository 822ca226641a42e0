// The list of streams, read from `streams.json` every two seconds while somebody looks.
//
// {"version": "0.1.0", "streams": [{
//    "name": "cam1", "state": "playing" | "starting" | "connecting" | "waiting", "error": "..." | null,
//    "retry_in_ms": n | null,
//    "video": {"codec": "H264", "width": 1280 | null, "height": 720 | null, "profile": "42c01f" | null} | null,
//    "audio": {"codec": "opus", "channels": 2} | null,
//    "notes": ["..."], "viewers": 3, "source": "rtsp://192.0.2.7/x" | "demo" }]}

const POLL_MS = 2_000;
const REQUEST_TIMEOUT_MS = 5_000;

const CODECS = { H264: "H.264", H265: "H.265", OPUS: "Opus", PCMU: "G.711 µ-law", PCMA: "G.711 A-law" };
const STATES = {
  playing: "Playing",
  starting: "No picture yet",
  connecting: "Connecting",
  waiting: "No connection",
};

const byId = (id) => document.getElementById(id);
const cards = new Map();
let answeredAt = null;
let timer = 0;
let request = null;

document.addEventListener("visibilitychange", () => (document.hidden ? pause() : refresh()));
if (!document.hidden) refresh();

async function refresh() {
  pause();
  const mine = (request = new AbortController());
  const trouble = await load(mine.signal);
  // Hidden, or asked again, while the server answered.
  if (request !== mine) return;
  showTrouble(trouble);
  timer = setTimeout(refresh, POLL_MS);
}

function pause() {
  clearTimeout(timer);
  request?.abort();
  request = null;
}

// Shows what the server says; returns why it could not, in words, or null.
async function load(stop) {
  try {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
    const response = await fetch(new URL("streams.json", location.href), { cache: "no-store", signal });
    if (!response.ok) return `The server answered with status ${response.status}.`;
    show(await response.json());
    answeredAt = Date.now();
    return null;
  } catch (error) {
    if (error instanceof SyntaxError)
      return "The server's answer is not a list of streams. A proxy may stand in between.";
    return "The server does not answer. It may be stopped, or the network is down.";
  }
}

function showTrouble(words) {
  const box = byId("trouble");
  document.body.classList.toggle("stale", Boolean(words));
  if (words && answeredAt) words += ` The list below is as of ${new Date(answeredAt).toLocaleTimeString()}.`;
  const full = words ? `${words} Trying again every 2 seconds.` : "";
  // An unchanged text is not announced again to those who listen to the page.
  if (box.textContent !== full) box.textContent = full;
  box.hidden = !words;
}

function show({ version, streams }) {
  const viewers = streams.reduce((sum, stream) => sum + stream.viewers, 0);
  setText(
    byId("summary"),
    streams.length ? `${count(streams.length, "stream")}, ${count(viewers, "viewer")}` : "",
  );
  setText(byId("footer"), `Sluice ${version}`);
  byId("empty").hidden = streams.length > 0;

  const names = new Set(streams.map((stream) => stream.name));
  for (const [name, card] of cards) {
    if (!names.has(name)) {
      card.remove();
      cards.delete(name);
    }
  }
  // Cards are changed, never made anew: focus and a selection survive.
  streams.forEach((stream, place) => {
    const card = cards.get(stream.name) ?? newCard(stream.name);
    update(card, stream);
    if (byId("streams").children[place] !== card)
      byId("streams").insertBefore(card, byId("streams").children[place] ?? null);
  });
}

function newCard(name) {
  const card = byId("stream").content.firstElementChild.cloneNode(true);
  const find = (selector) => card.querySelector(selector);
  const page = new URL(`${name.split("/").map(encodeURIComponent).join("/")}/`, location.href);
  const input = find("input");
  setText(find(".name"), name);
  find(".watch").href = page;
  find(".watch").setAttribute("aria-label", `Watch ${name}`);
  input.value = new URL("whep", page);
  input.setAttribute("aria-label", `WHEP address of ${name}`);
  input.addEventListener("focus", () => input.select());
  find(".copy").setAttribute("aria-label", `Copy the WHEP address of ${name}`);
  find(".copy").addEventListener("click", (event) => copy(input, event.currentTarget));
  cards.set(name, card);
  return card;
}

function update(card, stream) {
  const find = (selector) => card.querySelector(selector);
  card.dataset.state = stream.state;
  setText(find(".state"), STATES[stream.state] ?? stream.state);
  setText(find(".media"), [...formats(stream), count(stream.viewers, "viewer")].join(" · "));
  setText(find(".source"), stream.source === "demo" ? "Demo, from inside the program" : stream.source);
  setText(
    find(".error"),
    [stream.error && sentence(stream.error), retryWords(stream.retry_in_ms)].filter(Boolean).join(" "),
  );
  find(".error").hidden = !stream.error;
  const notes = stream.notes.map((note) => {
    const item = document.createElement("li");
    item.textContent = sentence(note);
    return item;
  });
  find(".notes").replaceChildren(...notes);
  find(".notes").hidden = notes.length === 0;
}

function formats({ video, audio }) {
  const words = [];
  if (video) {
    const size = video.width && video.height ? ` ${video.width} × ${video.height}` : "";
    words.push(codec(video.codec) + size + (video.profile ? ` (${video.profile})` : ""));
  }
  if (audio)
    words.push(
      `${codec(audio.codec)} ${audio.channels === 1 ? "mono" : audio.channels === 2 ? "stereo" : `${audio.channels} channels`}`,
    );
  return words;
}

function codec(name) {
  return CODECS[name.toUpperCase()] ?? name;
}

function retryWords(ms) {
  if (ms === null || ms === undefined) return "";
  return ms < 1000 ? "Trying again now." : `Trying again in ${Math.round(ms / 1000)} s.`;
}

// The server's words are fragments (lower case, no full stop); the page speaks in sentences.
function sentence(words) {
  return words.charAt(0).toUpperCase() + words.slice(1).replace(/[^.!?]$/, "$&.");
}

function count(number, thing) {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

function setText(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

// Browsers give the clipboard only to https and localhost; elsewhere the selected field is copied the old way.
async function copy(input, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(input.value);
  } catch {
    input.select();
    done = document.execCommand("copy");
    button.focus();
  }
  button.textContent = done ? "Copied" : "Press Ctrl+C";
  if (!done) input.select();
  setTimeout(() => (button.textContent = "Copy WHEP address"), 1500);
}
