// The list of streams, read from `streams.json` now and then while somebody looks at the page.
//
// {"version": "0.1.0", "streams": [{
//    "name": "cam1", "state": "idle" | "playing" | "starting" | "connecting" | "waiting", "on_demand": true | false,
//    "since": "Thu, 26 Nov 2026 ..." | null,
//    "trouble": {"kind": "away" | "silent" | "no_keyframe" | "no_video", "detail": "..." | null,
//                "cause": "name" | "unreachable" | "no_credentials" | "credentials" | "refused" | "path" | "full" |
//                         "media" | "broken" | "internal" | null} | null,
//    "error": "..." | null, "retry_in_ms": n | null, "picture": true | false,
//    "video": {"codec": "H264", "width": 1280 | null, "height": 720 | null, "profile": "42c01f" | null} | null,
//    "audio": {"codec": "opus", "channels": 2} | null,
//    "notes": ["..."], "viewers": 3, "source": "rtsp" | "demo",
//    "turn": {"source": 2, "of": 3} where several sources are tried in order,
//    "layers": [{"name": "high" | "low", "shown": true | false, and of those above "state", "since", "trouble", "error",
//                "retry_in_ms", "video", "notes", "viewers", "source", "turn"}] of a stream that has two }]}

import { BY_SCRIPT, credentials } from "./token.js";

const REQUEST_TIMEOUT_MS = 5_000;
// Who is refused is so until somebody changes something at the server: each question is a line of its log.
export const REFUSED_MS = 60_000;

// Addresses are relative to the page, so that they hold below any path that a proxy takes off.
export function streamUrl(root, name, rest = "") {
  const path = name.split("/").map(encodeURIComponent).join("/");
  return new URL(`./${path}/${rest}`, root);
}

// Reads the list every `every` ms from the start page's address `root`, but not while the page is hidden, and rarely while
// whoever looks is refused.
// Calls `show(list)` when it changed, and `trouble(words, asOf, refused)` after each answer: `words` say why there was
// none, or are null; `asOf` is when there was one last, as of Date.now, or null; `refused` is whether whoever looks may
// not see it.
export class StreamList {
  #root;
  #every;
  #show;
  #trouble;
  #etag = null;
  #asOf = null;
  #refused = false;
  #timer = 0;
  #request = null;
  // The server's clock less ours: times of the list are the server's.
  #ahead = 0;

  constructor({ root, every, show, trouble }) {
    this.#root = root;
    this.#every = every;
    this.#show = show;
    this.#trouble = trouble;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#pause() : this.refresh()));
    addEventListener("online", () => document.hidden || this.refresh());
    if (!document.hidden) this.refresh();
  }

  // How long ago something was that the server dated.
  age(date) {
    return Math.max(0, Date.now() + this.#ahead - Date.parse(date));
  }

  async refresh() {
    this.#pause();
    const mine = (this.#request = new AbortController());
    const words = await this.#load(mine.signal);
    // Hidden, or asked again, while the server answered.
    if (this.#request !== mine) return;
    this.#trouble(words, this.#asOf, words !== null && this.#refused);
    this.#timer = setTimeout(() => this.refresh(), this.#refused ? REFUSED_MS : this.#every);
  }

  #pause() {
    clearTimeout(this.#timer);
    this.#request?.abort();
    this.#request = null;
  }

  async #load(stop) {
    this.#refused = false;
    try {
      const signal = AbortSignal.any([stop, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
      const headers = { ...BY_SCRIPT, ...credentials(), ...(this.#etag && { "If-None-Match": this.#etag }) };
      const response = await fetch(new URL("streams.json", this.#root), {
        cache: "no-store",
        headers,
        signal,
      });
      if (response.status !== 304) {
        if (!response.ok) {
          this.#refused = response.status === 401 || response.status === 403;
          const problem = await response.json().catch(() => null);
          return problem?.detail ?? `The server answered with status ${response.status}.`;
        }
        const list = await response.json();
        this.#etag = response.headers.get("ETag");
        this.#ahead = (Date.parse(response.headers.get("Date")) || Date.now()) - Date.now();
        this.#show(list);
      }
      this.#asOf = Date.now();
      return null;
    } catch (error) {
      if (error instanceof SyntaxError)
        return "The server's answer is not a list of streams. A proxy may stand in between.";
      if (stop.aborted || error.name === "TimeoutError" || error instanceof TypeError)
        return "The server does not answer. It may be stopped, or the network is down.";
      throw error;
    }
  }
}
