// One live picture of the kiosk: it plays for as long as it is on the screen, tries again for ever, and says
// when what it shows is not live.

import { REFUSED_MS, streamUrl } from "./streams.js";
import { token } from "./token.js";
import { WhepPlayer } from "./whep.js";
import { lengthOfTime, sentence, troubleWords } from "./words.js";

// Of a stream with two layers the small one: there are many pictures on the screen.
const SMALL = "whep?layer=low";
// As long without a new picture, and the cell says so.
const LATE_MS = 3_000;

export class Cell {
  // Whether the list of streams was not to be had: what is known of the stream is of before.
  serverAway = false;
  // Why whoever looks may not have that list, in a sentence; empty when it is to be had.
  refusal = "";
  #video = document.createElement("video");
  #words = document.createElement("div");
  #player;
  #reason = null;
  #pictureAt = performance.now();
  #shown = false;

  constructor(root, stream) {
    this.name = stream.name;
    // As the list of streams has it, or null when it is not there.
    this.stream = stream;
    this.element = document.createElement("figure");
    this.element.className = "cell";
    const label = document.createElement("figcaption");
    label.className = "label";
    label.textContent = stream.name;
    this.#words.className = "words";
    this.#words.setAttribute("role", "status");
    Object.assign(this.#video, { muted: true, autoplay: true, playsInline: true });
    this.#video.setAttribute("aria-label", stream.name);
    this.element.append(this.#video, this.#words, label);
    // Sound would be that of all of them.
    this.#player = new WhepPlayer({ url: streamUrl(root, stream.name, SMALL), token, audio: false });
    this.#player.addEventListener("track", ({ detail }) => {
      this.#video.srcObject = detail.stream;
      this.#video.play().catch(() => {});
    });
    this.#player.addEventListener("state", ({ detail }) => {
      if (detail.state === "connected") this.#reason = null;
      else if (detail.reason) this.#reason = detail.reason;
      // A kiosk has nobody to press a button.
      if (detail.state === "stopped" && detail.reason)
        setTimeout(() => this.element.isConnected && this.#player.start(), REFUSED_MS);
    });
    this.#watch();
    this.#player.start();
  }

  get pc() {
    return this.#player.pc;
  }

  // How old the picture is that is shown, in ms, or null before the first.
  get age() {
    return this.#shown ? performance.now() - this.#pictureAt : null;
  }

  stop() {
    this.#player.stop();
    this.#video.srcObject = null;
    this.element.remove();
  }

  // Says what there is to say: once a second.
  look() {
    const silent = performance.now() - this.#pictureAt;
    const late = silent >= LATE_MS;
    this.element.classList.toggle("late", late && this.#shown);
    const lines = late ? this.#lines(silent) : [];
    if (this.#words.innerText.trim() === lines.join("\n")) return;
    this.#words.replaceChildren(
      ...lines.map((line, place) =>
        Object.assign(document.createElement(place ? "small" : "span"), { textContent: line }),
      ),
    );
  }

  #lines(silent) {
    const { stream } = this;
    const why =
      this.serverAway || this.#reason?.kind === "network"
        ? "The server does not answer"
        : this.refusal
          ? this.refusal
        : !stream || stream.missing
          ? "There is no stream of this name"
          : stream.trouble
            ? troubleWords(stream.trouble.kind, stream.trouble.cause).title
            : this.#reason?.detail
              ? sentence(this.#reason.detail)
              : this.#shown
                ? "No new picture"
                : "Connecting …";
    // A connection that has ended leaves no picture behind.
    return this.#video.srcObject?.active ? [why, `Picture of ${lengthOfTime(silent)} ago`] : [why];
  }

  #watch() {
    this.#video.requestVideoFrameCallback(() => {
      this.#pictureAt = performance.now();
      this.#shown = true;
      this.#watch();
    });
  }
}
