// The pictures of the wall: `frame.mp4` of each stream that is on the screen, decoded by a `<video>` and
// drawn on the tile's canvas, which keeps it while the next one comes.
//
// Only what is asked for is loaded: `want` says which pictures are on the screen. At most FETCHES requests are
// under way; every picture is due again after DUE_MS, but all of them together are asked for no more than
// once in PACE_MS. So what a wall costs has a bound that its number of tiles does not move.

import { REFUSED_MS } from "./streams.js";
import { BY_SCRIPT, credentials } from "./token.js";

// Raising it loads a wall sooner and asks more of the server at once.
const FETCHES = 4;
// Browsers allow a page only so many players, phones as few as 16; each decodes one picture at a time.
const DECODERS = 2;
// Raising it makes pictures older; lowering it costs one keyframe per tile and time.
const DUE_MS = 5_000;
const SAVING_DUE_MS = 60_000;
const PACE_MS = 200;
const REQUEST_TIMEOUT_MS = 10_000;
const DECODE_TIMEOUT_MS = 5_000;

const connection = navigator.connection;
const lessData = matchMedia("(prefers-reduced-data: reduce)");

export class Stills {
  // name -> {url, canvas, done, live, etag, askedAt, at}
  #wanted = new Map();
  #fetching = 0;
  #held = false;
  #pacedUntil = 0;
  #timer = 0;
  #made = 0;
  #decoders = [];
  #waiting = [];
  // For those who want to know what a wall costs.
  counts = { requests: 0, unchanged: 0, bytes: 0, drawn: 0 };

  constructor() {
    document.addEventListener("visibilitychange", () => this.#next());
  }

  // The picture of `name` is on the screen now. `done({at, failed})` is called after each answer: `at` is when the
  // picture was taken, by the server's word, as of Date.now; `failed` says that it cannot be decoded.
  want(name, { url, canvas, done }) {
    if (this.#wanted.has(name)) return;
    const kept = canvas.still ?? {};
    this.#wanted.set(name, {
      url,
      canvas,
      done,
      etag: kept.etag ?? null,
      askedAt: kept.askedAt ?? -Infinity,
    });
    this.#next();
  }

  unwant(name) {
    this.#wanted.delete(name);
  }

  // Asks for none while `held`: whoever looks is refused.
  hold(held) {
    this.#held = held;
    this.#next();
  }

  // Asks for all of them anew: their canvases have another size.
  renew() {
    for (const picture of this.#wanted.values()) Object.assign(picture, { etag: null, askedAt: -Infinity });
    this.#next();
  }

  #due() {
    return connection?.saveData || lessData.matches ? SAVING_DUE_MS : DUE_MS;
  }

  #next() {
    clearTimeout(this.#timer);
    if (document.hidden || this.#held) return;
    const now = performance.now();
    const due = this.#due();
    // Pictures that were never there come first, and are not paced.
    const waiting = [...this.#wanted.values()].filter((picture) => !picture.busy);
    waiting.sort((a, b) => a.askedAt - b.askedAt);
    let wait = Infinity;
    for (const picture of waiting) {
      if (this.#fetching >= FETCHES) return;
      const at = picture.askedAt === -Infinity ? now : Math.max(picture.askedAt + due, this.#pacedUntil);
      if (at <= now) this.#load(picture);
      else wait = Math.min(wait, at - now);
    }
    if (wait < Infinity) this.#timer = setTimeout(() => this.#next(), wait + 1);
  }

  async #load(picture) {
    picture.busy = true;
    picture.askedAt = performance.now();
    this.#pacedUntil = picture.askedAt + PACE_MS;
    this.#fetching += 1;
    let result = null;
    try {
      const blob = await this.#fetch(picture);
      this.#fetching -= 1;
      this.#next();
      if (blob) result = { at: picture.at, failed: !(await this.#draw(blob, picture.canvas)) };
      else result = { at: picture.at, failed: Boolean(picture.failed) };
      picture.failed = result.failed;
    } catch {
      // Not there, or the network is away: the list of streams has words for both.
      if (!result) this.#fetching -= 1;
    }
    picture.busy = false;
    picture.canvas.still = { etag: picture.etag, askedAt: picture.askedAt };
    if (result) picture.done(result);
    this.#next();
  }

  // The file, or null when it is the one that is shown already.
  async #fetch(picture) {
    const headers = { ...BY_SCRIPT, ...credentials(), ...(picture.etag && { "If-None-Match": picture.etag }) };
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    this.counts.requests += 1;
    const response = await fetch(picture.url, { cache: "no-store", headers, signal });
    const age = Date.parse(response.headers.get("Date")) - Date.parse(response.headers.get("Last-Modified"));
    if (Number.isFinite(age)) picture.at = Date.now() - Math.max(0, age);
    if (response.status === 304) {
      this.counts.unchanged += 1;
      return null;
    }
    // Due again after that time.
    if (response.status === 401 || response.status === 403) picture.askedAt += REFUSED_MS - this.#due();
    if (!response.ok) throw new Error(`status ${response.status}`);
    const blob = await response.blob();
    this.counts.bytes += blob.size;
    picture.etag = response.headers.get("ETag");
    return blob;
  }

  // Draws the picture of a file; false if it cannot be decoded.
  async #draw(blob, canvas) {
    const video = await this.#decoder();
    const url = URL.createObjectURL(blob);
    try {
      const decoded = await decode(video, url);
      if (decoded) {
        drawPicture(video, canvas);
        this.counts.drawn += 1;
      }
      return decoded;
    } finally {
      video.removeAttribute("src");
      video.load();
      URL.revokeObjectURL(url);
      const next = this.#waiting.shift();
      if (next) next(video);
      else this.#decoders.push(video);
    }
  }

  #decoder() {
    const free = this.#decoders.pop();
    if (free) return free;
    if (this.#made < DECODERS) {
      this.#made += 1;
      return newDecoder();
    }
    return new Promise((take) => this.#waiting.push(take));
  }
}

function newDecoder() {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, preload: "auto", disableRemotePlayback: true });
  return video;
}

function decode(video, url) {
  return new Promise((resolve) => {
    const end = (decoded) => {
      clearTimeout(timer);
      video.onloadeddata = video.onerror = null;
      resolve(decoded);
    };
    const timer = setTimeout(() => end(false), DECODE_TIMEOUT_MS);
    video.onloadeddata = () => end(video.videoWidth > 0);
    video.onerror = () => end(false);
    video.src = url;
  });
}

// Draws what a video shows, as large as the canvas is on the screen and no larger than the picture.
export function drawPicture(video, canvas) {
  const { videoWidth, videoHeight } = video;
  if (!videoWidth) return;
  const wanted = Math.ceil(canvas.clientWidth * devicePixelRatio) || videoWidth;
  const scale = Math.min(1, wanted / videoWidth);
  const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { alpha: false });
  context.imageSmoothingQuality = "high";
  context.drawImage(video, 0, 0, width, height);
}
