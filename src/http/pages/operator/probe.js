// The form that looks at a camera: what it is like, whether browsers play it, and what to change.

import { ask } from "./ask.js";
import { bitrate } from "./units.js";
import { sentence, setText } from "./words.js";

// Longer than a probe takes at the most.
const PROBE_TIMEOUT_MS = 40_000;

export class Probe {
  #form;
  #result;
  #running = null;

  constructor(element) {
    this.#form = element.querySelector("form");
    this.#result = element.querySelector(".result");
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#running) this.#running.abort();
      else this.#look();
    });
  }

  async #look() {
    const running = new AbortController();
    this.#running = running;
    const asked = this.#asked();
    this.#say(`Looking at the camera, which takes up to ${asked.timeout ? "half a minute" : "ten seconds"} …`);
    try {
      const signal = AbortSignal.any([running.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify(asked);
      this.#show(await ask("api/v1/probe", { method: "POST", headers, body, signal }));
    } catch (error) {
      this.#say(running.signal.aborted ? "Stopped." : error.message);
    }
    this.#running = null;
    this.#button();
  }

  // What the form says, as the API has it: what is left empty is the server's to choose.
  #asked() {
    const fields = [...new FormData(this.#form)].map(([name, value]) => [name, value.trim()]);
    return Object.fromEntries(fields.filter(([, value]) => value !== ""));
  }

  #button() {
    setText(this.#form.querySelector("button"), this.#running ? "Stop" : "Look at it");
  }

  // One sentence, and nothing of what was found before.
  #say(words) {
    this.#button();
    setText(this.#result.querySelector(".verdict"), words);
    for (const part of this.#result.querySelectorAll("ul, pre")) part.hidden = true;
  }

  #show(report) {
    const { second } = report;
    this.#say(sentence(report.verdict));
    const behind = second ? second.changes.map((change) => `${title(second)} stream: ${change}`) : [];
    this.#list(".changes", [...report.changes, ...behind].map(sentence));
    this.#list(".found", [...found(report), ...(second ? foundBehind(second) : [])]);
    const lines = this.#result.querySelector("pre");
    lines.hidden = report.toml === null;
    setText(lines, report.toml ?? "");
  }

  #list(selector, texts) {
    const list = this.#result.querySelector(selector);
    list.hidden = texts.length === 0;
    list.replaceChildren(...texts.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  }
}

// What came, a line each.
function found({ camera, transport, video, audio, packets_lost, notes }) {
  const lines = [];
  if (video) lines.push(`Picture: ${described(video)}`);
  if (audio) lines.push(`Sound: ${audio.codec}, ${audio.channels === 1 ? "mono" : "stereo"}`);
  if (transport) lines.push(`From ${camera} by ${transport.toUpperCase()}, ${packets_lost} packets lost`);
  return [...lines, ...notes.map(sentence)];
}

// The same of the camera's second stream, with its verdict.
function foundBehind(second) {
  const picture = second.video ? [described(second.video)] : [];
  return [`${title(second)} stream, ${second.url}: ${[...picture, second.verdict].join("; ")}`].map(sentence);
}

function title({ layer }) {
  return layer === "low" ? "Low" : "High";
}

function described(video) {
  const size = video.width && `${video.width}x${video.height}`;
  const rate = video.pictures_per_second && `${video.pictures_per_second} pictures/s`;
  const interval = video.keyframe_interval_seconds;
  const keyframes = interval && `a keyframe every ${interval.mean.toFixed(1)} s`;
  const bits = video.bits_per_second && bitrate(video.bits_per_second);
  const profile = video.profile && `${video.profile} ${video.level ?? ""}`.trim();
  return [video.codec, profile, size, rate, bits, keyframes].filter(Boolean).join(", ");
}
