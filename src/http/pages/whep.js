// A small WHEP player (draft-ietf-wish-whep), usable on its own:
//
//     import { WhepPlayer } from "/static/whep.js";
//     const player = new WhepPlayer({ url: "https://host/cam1/whep" });
//     player.addEventListener("track", (event) => { video.srcObject = event.detail.stream; });
//     player.addEventListener("state", (event) => console.log(event.detail));
//     player.start();
//
// It owns one peer connection at a time and tries again until `stop`. It never touches the page: what a
// state means in words is the page's business.
//
// Event "state", detail {state, reason}:
//   "connecting"  an offer was made, or is about to be
//   "connected"   ICE and DTLS are up, media may come
//   "waiting"     the attempt is over; `reason.retryAt` (as of performance.now) says when the next begins
//   "stopped"     by `stop`, or because the server wants other credentials: nothing happens until `start`
// `reason` is null, or {kind, status, detail, problem, candidates, retryAt, moved} with `kind`:
//   "http"        the server refused the offer with `status`; `detail` is its explanation, if it gave one, and
//                 `problem` all that it said (RFC 9457), or null; `moved` is whether it was another server, that ours
//                 had sent us to
//   "network"     the server did not answer the request
//   "ice"         no path to any of the server's `candidates`, each {protocol, address, port}
//   "dtls"        a UDP path, but no DTLS session
//   "lost"        there was a connection, and it died
//   "closed"      the server ended the session; `problem.code` is "codec_changed" if its stream sends another codec now, and
//                 "overloaded" if it has more to send than it can
//   "browser"     the browser refused; `detail` is its explanation
//
// Event "track", detail {track, stream, receiver, transceiver}: `stream` is the same object for all tracks of one
// connection.

// Waiting time before another attempt: lower finds a restarted server sooner, higher spares it when
// thousands of viewers come back at once.
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 10_000;
// A connection that lived this long was a good one: the waiting time starts from the bottom again.
const STABLE_MS = 5_000;
// The server frees a viewer that has not connected 10 s after its offer: give up before it does.
const CONNECT_TIMEOUT_MS = 8_000;
const REQUEST_TIMEOUT_MS = 10_000;
// An offer to a stream on demand is answered when its camera sends pictures. Well below the time above.
const CAMERA_WAIT_S = 8;
// Time for the server to say why it ended a session.
const REASON_TIMEOUT_MS = 1_000;
// The word for a stream that sends another codec than was agreed on.
const CODEC_CHANGED = "codec_changed";
// A connection that is not wanted any more closes after this without the server's answer.
const RELEASE_MS = 500;
// The server takes a choice of layer once a second.
const CHOICE_MS = 1_100;
// "disconnected" heals by itself when the network comes back in time.
const DISCONNECTED_MS = 5_000;

export class WhepPlayer extends EventTarget {
  #url;
  #authorization;
  #iceServers;
  #audio;
  #attempt = null;
  #failures = 0;
  #retryTimer = 0;
  #state = "stopped";
  #page = null;
  // The endpoint of another server that ours has sent us to, or null.
  #elsewhere = null;
  // When a layer was chosen last, as of performance.now.
  #choseAt = -Infinity;

  // `token` is sent as `Authorization: Bearer`, `user` and `password` as `Basic`. `iceServers` is that of RTCConfiguration; a server on a
  // public address needs none. Without `audio` no sound is asked for, and none is sent.
  constructor({ url, token = null, user = null, password = "", iceServers = [], audio = true }) {
    super();
    this.#audio = audio;
    this.#url = new URL(url, location.href);
    this.#authorization = token ? `Bearer ${token}` : user ? basic(user, password) : null;
    this.#iceServers = iceServers;
  }

  // The peer connection of the attempt under way, or null.
  get pc() {
    return this.#attempt?.pc ?? null;
  }

  get state() {
    return this.#state;
  }

  // What the server said of the session: {url, etag, layer}, or null. `layer` is the layer that it was answered with, of a
  // stream that has several, or null.
  get session() {
    return this.#attempt?.session ?? null;
  }

  // The layer that is asked for, or null for the server's choice.
  get wantedLayer() {
    return this.#url.searchParams.get("layer");
  }

  // Asks for another layer of the stream, in this session where its codec allows, and in another one else; in the next one
  // where there is none. The picture stays until the next one comes.
  async choose(layer) {
    this.#url.searchParams.set("layer", layer);
    const { session } = this;
    if (!session?.layer) return;
    // Another choice, or another session, may take the place of this one meanwhile.
    const stale = () => this.session !== session || this.wantedLayer !== layer;
    const early = this.#choseAt + CHOICE_MS - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    if (stale()) return;
    this.#choseAt = performance.now();
    const body = JSON.stringify({ encodingId: layer });
    const headers = { ...this.#credentials(), "Content-Type": "application/json" };
    const ask = () => fetch(layerOf(session), { method: "POST", headers, body, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    try {
      let response = await ask();
      const wait = response.status === 429 ? retryAfterMs(response.headers.get("Retry-After")) : null;
      if (wait !== null) {
        await new Promise((resolve) => setTimeout(resolve, wait));
        if (stale()) return;
        response = await ask();
      }
      if (response.status === 422 && this.session === session) this.start();
    } catch {
      // The server is away: the next session asks for it.
    }
  }

  // What the server says of the session's layers (docs/WHEP.md), or null.
  async layers() {
    const { session } = this;
    if (!session?.layer) return null;
    try {
      const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
      const response = await fetch(layerOf(session), { headers: this.#credentials(), cache: "no-store", signal });
      return response.ok ? await response.json() : null;
    } catch {
      return null;
    }
  }

  // When the offer of this attempt was sent, as of performance.now.
  get postedAt() {
    return this.#attempt?.postedAt ?? null;
  }

  // Starts, or tries again at once when already started.
  start() {
    this.#release();
    if (!this.#page) {
      this.#page = new AbortController();
      const { signal } = this.#page;
      // A page that goes away frees its session on the server; one that comes back (from the
      // back/forward cache) makes another.
      addEventListener("pagehide", () => this.#release({ leaving: true }), { signal });
      addEventListener("pageshow", (event) => event.persisted && this.start(), { signal });
      addEventListener("online", () => this.#state === "waiting" && this.start(), { signal });
    }
    this.#connect();
  }

  stop() {
    this.#page?.abort();
    this.#page = null;
    this.#release();
    this.#failures = 0;
    this.#setState("stopped", null);
  }

  async #connect() {
    const abort = new AbortController();
    const attempt = {
      pc: null,
      session: null,
      posting: false,
      postedAt: null,
      candidates: [],
      connected: false,
      timers: [],
      abort,
    };
    this.#attempt = attempt;
    this.#setState("connecting", null);
    // After every wait: another attempt may have taken our place, and released what we hold.
    const stale = () => this.#attempt !== attempt;
    try {
      const pc = this.#newPeerConnection(attempt);
      const offer = await pc.createOffer();
      if (stale()) return;
      // The server is ICE-lite with one public candidate and learns our address from our first STUN
      // request, so there is nothing to gather first and nothing to trickle later.
      const sdp = withStereoOpus(offer.sdp);
      attempt.postedAt = performance.now();
      const [answer] = await Promise.all([
        this.#post(attempt, sdp),
        pc.setLocalDescription({ type: "offer", sdp }),
      ]);
      if (stale()) return;
      attempt.candidates = candidatesOf(answer);
      attempt.timers.push(setTimeout(() => this.#connectionFailed(attempt), CONNECT_TIMEOUT_MS));
      await pc.setRemoteDescription({ type: "answer", sdp: answer });
      if (stale()) return;
      watchDtls(pc, (kind) => (kind === "closed" ? this.#closed(attempt) : this.#end(attempt, { kind })));
    } catch (error) {
      this.#end(attempt, error.reason ?? { kind: "browser", detail: error.message });
    }
  }

  #newPeerConnection(attempt) {
    const pc = new RTCPeerConnection({ iceServers: this.#iceServers, bundlePolicy: "max-bundle" });
    attempt.pc = pc;
    pc.addTransceiver("video", { direction: "recvonly" });
    if (this.#audio) pc.addTransceiver("audio", { direction: "recvonly" });
    const stream = new MediaStream();
    pc.ontrack = ({ track, receiver, transceiver }) => {
      if (this.#attempt !== attempt) return;
      stream.addTrack(track);
      const detail = { track, stream, receiver, transceiver };
      this.dispatchEvent(new CustomEvent("track", { detail }));
    };
    pc.onconnectionstatechange = () => this.#connectionStateChanged(attempt);
    return pc;
  }

  #connectionStateChanged(attempt) {
    if (this.#attempt !== attempt) return;
    const state = attempt.pc.connectionState;
    if (state === "connected") {
      clearTimers(attempt);
      attempt.connected = true;
      attempt.timers.push(setTimeout(() => (this.#failures = 0), STABLE_MS));
      this.#setState("connected", null);
    } else if (state === "disconnected" && attempt.connected) {
      clearTimers(attempt);
      attempt.timers.push(setTimeout(() => this.#end(attempt, { kind: "lost" }), DISCONNECTED_MS));
    } else if (state === "failed") {
      this.#connectionFailed(attempt);
    }
  }

  #connectionFailed(attempt) {
    const ice = attempt.pc.iceConnectionState;
    const kind = attempt.connected ? "lost" : ice === "connected" || ice === "completed" ? "dtls" : "ice";
    this.#end(attempt, { kind });
  }

  // Sends the offer, takes the session, returns the answer. Throws an Error with a `reason`.
  async #post(attempt, sdp) {
    // The server may wait for a camera that it wakes, but not for longer than we do.
    const wait = `wait=${CAMERA_WAIT_S}`;
    const headers = { ...this.#credentials(), "Content-Type": "application/sdp", Prefer: wait };
    const signal = AbortSignal.any([attempt.abort.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
    // A server that ended for good does not answer: whoever it had sent elsewhere asks there every other time.
    const endpoint = this.#elsewhere && this.#failures % 2 === 1 ? this.#elsewhere : this.#url;
    const post = (url) => fetch(url, { method: "POST", headers, body: sdp, signal });
    let response, body;
    attempt.posting = true;
    try {
      response = await post(endpoint);
      if (response.redirected) this.#elsewhere = response.url;
      // Browsers leave the header out when they follow to another host.
      if (response.redirected && response.status === 401 && this.#authorization) response = await post(response.url);
      body = await response.text();
    } catch (error) {
      throw because({
        kind: "network",
        detail: error.name === "TimeoutError" ? "No answer within 10 s" : error.message,
      });
    } finally {
      attempt.posting = false;
    }
    if (response.status !== 201) {
      const retryAfter = retryAfterMs(response.headers.get("Retry-After"));
      const problem = problemOf(response, body);
      const { status } = response;
      const moved = new URL(response.url).origin !== this.#url.origin;
      // It knows us no better the next time; ours may be back, and does.
      if (moved && isRefusal(status)) this.#elsewhere = null;
      throw because({ kind: "http", status, detail: problem?.detail ?? null, problem, retryAfter, moved });
    }
    const location = response.headers.get("Location");
    if (location) {
      const said = (name) => response.headers.get(name);
      attempt.session = { url: new URL(location, response.url), etag: said("ETag"), layer: said("Layer") };
      // The player was stopped while the server answered: nobody else will free the session.
      if (this.#attempt !== attempt) this.#delete(attempt);
    }
    // Relays are for viewers whom the direct path fails: they take part from the next attempt on.
    const relays = iceServersOf(response.headers.get("Link"));
    if (relays.length > 0) this.#iceServers = relays;
    return body;
  }

  // The server ended the session, and may say why: after a change of the codec the next one can begin at once.
  async #closed(attempt) {
    if (this.#attempt !== attempt || attempt.closed) return;
    attempt.closed = true;
    let problem = null;
    let retryAfter = null;
    try {
      const signal = AbortSignal.any([attempt.abort.signal, AbortSignal.timeout(REASON_TIMEOUT_MS)]);
      const response = await fetch(attempt.session.url, { headers: this.#credentials(), cache: "no-store", signal });
      problem = problemOf(response, await response.text());
      retryAfter = problem?.code === CODEC_CHANGED ? 0 : retryAfterMs(response.headers.get("Retry-After"));
    } catch {
      // It stops, or has no time for that.
    }
    this.#end(attempt, { kind: "closed", detail: problem?.detail ?? null, problem, retryAfter });
  }

  // Ends an attempt and plans the next one.
  #end(attempt, reason) {
    if (this.#attempt !== attempt) return;
    // What the server ended itself needs no DELETE, least of all from all viewers of a restart at once.
    if (reason.kind === "closed") attempt.session = null;
    this.#release();
    const { retryAfter = null, ...rest } = reason;
    const { candidates } = attempt;
    const full = { status: null, detail: null, problem: null, candidates, retryAt: null, moved: false, ...rest };
    if (isRefusal(full.status) && !full.moved) {
      this.#setState("stopped", full);
      return;
    }
    const wait = this.#waitingTime(full.moved ? null : full.status, retryAfter);
    this.#failures += 1;
    this.#retryTimer = setTimeout(() => this.#connect(), wait);
    this.#setState("waiting", { ...full, retryAt: performance.now() + wait });
  }

  // Full jitter above a floor: viewers who lost the same server do not come back in step.
  #waitingTime(status, retryAfter) {
    const between = (low, high) => low + Math.random() * (high - low);
    if (retryAfter !== null) return between(retryAfter, retryAfter * 1.5 + RETRY_MIN_MS);
    // No such stream, or one that this browser cannot play: that changes rarely.
    if (status >= 400 && status < 500 && status !== 409) return between(RETRY_MAX_MS / 2, RETRY_MAX_MS);
    return between(RETRY_MIN_MS, Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** (this.#failures + 1)));
  }

  // Frees the attempt under way, here and on the server.
  #release({ leaving = false } = {}) {
    clearTimeout(this.#retryTimer);
    const attempt = this.#attempt;
    if (!attempt) return;
    this.#attempt = null;
    clearTimers(attempt);
    // An offer that is under way is answered by a session, which only the answer names: it is freed then.
    if (!attempt.posting || leaving) attempt.abort.abort();
    const close = () => attempt.pc?.close();
    // First the session: the server ends it by itself when the connection closes, and would know nothing of it.
    const deleted = attempt.session ? this.#delete(attempt) : null;
    // A page that leaves has no time for the answer, and is kept by no browser while it is connected.
    if (!deleted || leaving) return close();
    deleted.then(close);
    setTimeout(close, RELEASE_MS);
  }

  // `keepalive` lets the request outlive the page.
  async #delete(attempt) {
    try {
      await fetch(attempt.session.url, { method: "DELETE", headers: this.#credentials(), keepalive: true });
    } catch {
      // The server frees it by itself, a few seconds after the connection has closed.
    }
  }

  #credentials() {
    return this.#authorization ? { Authorization: this.#authorization } : {};
  }

  #setState(state, reason) {
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, reason } }));
  }
}

// A server that goes away in order closes DTLS. The peer connection's own state does not show it, only
// that of the transport below does; all media share one (max-bundle).
function watchDtls(pc, ended) {
  const transport = pc.getReceivers().find((receiver) => receiver.transport)?.transport;
  if (!transport) return;
  const look = () => {
    if (transport.state === "closed") ended("closed");
    if (transport.state === "failed") ended("dtls");
  };
  transport.addEventListener("statechange", look);
}

// Where the layer of a session is told, and chosen.
function layerOf(session) {
  return new URL(`${session.url.pathname}/layer`, session.url);
}

// Whether the same credentials would be refused again.
function isRefusal(status) {
  return status === 401 || status === 403;
}

function clearTimers(attempt) {
  attempt.timers.forEach(clearTimeout);
  attempt.timers = [];
}

// UTF-8, as RFC 7617 §2.1 has it.
function basic(user, password) {
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

function because(reason) {
  return Object.assign(new Error(reason.kind), { reason });
}

// Browsers decode Opus to mono unless their own offer says otherwise (RFC 7587 §7.1).
function withStereoOpus(sdp) {
  const payload = /^a=rtpmap:(\d+) opus\/48000\/2/im.exec(sdp)?.[1];
  return payload ? sdp.replace(new RegExp(`^a=fmtp:${payload} (?!.*stereo=1).*$`, "m"), "$&;stereo=1") : sdp;
}

// The answer's candidates, for a sentence on what to open or announce.
function candidatesOf(sdp) {
  const found = [...sdp.matchAll(/^a=candidate:\S+ \d+ (udp|tcp) \d+ (\S+) (\d+)/gim)];
  return found.map(([, protocol, address, port]) => ({ protocol, address, port: Number(port) }));
}

// What application/problem+json says (RFC 9457), or null.
function problemOf(response, body) {
  if (!response.headers.get("Content-Type")?.includes("json")) return null;
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

// Seconds or a date (RFC 9110 §10.2.3).
function retryAfterMs(value) {
  if (!value) return null;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

// `<turn:host>; rel="ice-server"; username="u"; credential="c"` (RFC 9725 §4.6).
function iceServersOf(header) {
  const links = [...(header ?? "").matchAll(/<([^>]+)>([^<]*)/g)];
  const value = (params, name) =>
    new RegExp(`\\b${name}="((?:[^"\\\\]|\\\\.)*)"`).exec(params)?.[1].replace(/\\(.)/g, "$1");
  return links
    .filter(([, , params]) => /\brel="?ice-server\b/.test(params))
    .map(([, urls, params]) => ({
      urls,
      username: value(params, "username"),
      credential: value(params, "credential"),
    }));
}
