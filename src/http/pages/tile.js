// One stream on the wall: its picture, its name, and what it is doing. Tiles are changed, never made anew, so
// that focus, pictures and a selection survive.

import { ON_DEMAND, codecName, count, setText, sizeWords, troubleWords, clockTime, lengthOfTime } from "./words.js";

// A picture of a stream that plays is called old when it is as old as this: some cameras send a keyframe
// every ten seconds.
const OLD_MS = 30_000;

const WAITING = { starting: "Waiting for a keyframe …" };

export class Tile {
  // {name, ...} as `streams.json` has it.
  stream = null;
  // For how long its state lasts, in ms, or null.
  since = null;
  #undecodable = false;
  #pictureAt = null;
  #find;

  constructor(template, name, page) {
    this.name = name;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.element.tile = this;
    this.#find = (selector) => this.element.querySelector(selector);
    this.view = this.#find(".view");
    this.canvas = this.#find("canvas");
    this.view.href = page;
    this.#find(".name").textContent = name;
    this.#find(".name").title = name;
    this.#find(".more").setAttribute("aria-label", `About ${name}, and other ways to it`);
  }

  // What is wrong with it, by the server's word or by this browser's, or null.
  get trouble() {
    return this.stream?.trouble?.kind ?? (this.#undecodable ? "undecodable" : null);
  }

  // What a filter by state takes it for.
  is(state) {
    if (state === "watched") return this.stream.viewers > 0;
    return state === "" || state === this.#state;
  }

  // What it does, in one of the words that styles and the filter know.
  get #state() {
    if (this.trouble) return "trouble";
    return this.playing ? "playing" : this.idle ? "idle" : "connecting";
  }

  // Its source rests: it is on demand, and nobody watches.
  get idle() {
    return this.stream.state === "idle";
  }

  get playing() {
    return this.stream.state === "playing";
  }

  update(stream, since) {
    this.stream = stream;
    this.since = since;
    this.show();
  }

  // A picture came: `at` is when it was taken; `failed` says that it could not be decoded.
  pictureCame({ at, failed }) {
    this.#undecodable = failed;
    if (!failed) this.#pictureAt = at;
    this.show();
  }

  // Shows what is known now; call it again as time goes by.
  show() {
    const { stream, trouble } = this;
    const { title } = trouble ? troubleWords(trouble, stream.trouble?.cause) : { title: null };
    const connecting = this.#state === "connecting";
    const { idle } = this;
    this.element.dataset.state = this.#state;

    const why = this.#find(".why");
    why.hidden = !trouble;
    if (trouble) {
      const lasts = this.since !== null && trouble === "away" ? ` · ${lengthOfTime(this.since)}` : "";
      setText(why.querySelector("span"), title + lasts);
      why.setAttribute("aria-label", `${title}: why is ${this.name} like this?`);
    }
    const facts = this.#find(".facts");
    facts.hidden = Boolean(trouble);
    const { video, audio } = stream;
    setText(
      this.#find(".codec"),
      connecting || idle ? "" : video ? codecName(video.codec) : audio ? codecName(audio.codec) : "",
    );
    setText(
      this.#find(".size"),
      connecting
        ? (WAITING[stream.state] ?? "Connecting …")
        : idle
          ? ON_DEMAND
        : video
          ? sizeWords(video)
          : audio
            ? "sound only"
            : "",
    );

    const viewers = this.#find(".viewers");
    viewers.hidden = stream.viewers === 0;
    setText(viewers.querySelector("span"), String(stream.viewers));
    viewers.title = count(stream.viewers, "viewer");

    this.#showAge();
    setText(this.#find(".nothing"), this.#pictureAt || connecting ? "" : trouble ? title : idle ? ON_DEMAND : "");
    const state = trouble ? title : idle ? ON_DEMAND.toLowerCase() : this.#state;
    const label = [this.name, state, count(stream.viewers, "viewer")].join(", ");
    if (this.view.getAttribute("aria-label") !== label) this.view.setAttribute("aria-label", label);
  }

  // The time of a picture that is not from now.
  #showAge() {
    const old = this.#find(".old");
    const at = this.#pictureAt;
    const isOld = at !== null && (!this.playing || Date.now() - at > OLD_MS);
    old.hidden = !isOld;
    if (isOld) setText(old, clockTime(at));
    this.element.classList.toggle("stale", isOld);
  }
}
