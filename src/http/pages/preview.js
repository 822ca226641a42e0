// One tile of the wall plays live, without sound: the one that is pointed at, or has the keyboard's focus.
// There is one connection at the most, and none while the page is hidden.

import { drawPicture } from "./stills.js";
import { token } from "./token.js";
import { WhepPlayer } from "./whep.js";

// A pointer on its way across the wall starts nothing.
const LINGER_MS = 250;

const still = matchMedia("(prefers-reduced-motion: reduce)");
const lessData = matchMedia("(prefers-reduced-data: reduce)");

export class Preview {
  #video = document.createElement("video");
  #player = null;
  #tile = null;
  #timer = 0;

  constructor() {
    Object.assign(this.#video, { className: "live", muted: true, autoplay: true, playsInline: true });
    this.#video.setAttribute("aria-hidden", "true");
    this.#video.disablePictureInPicture = true;
    document.addEventListener("visibilitychange", () => document.hidden && this.stop());
    addEventListener("pagehide", () => this.stop());
  }

  // The name of the stream that plays, or is about to.
  get name() {
    return this.#tile?.name ?? null;
  }

  // `tile` is {name, url, view, canvas}: `view` is where the video goes.
  start(tile) {
    if (this.#tile?.name === tile.name || still.matches || lessData.matches || navigator.connection?.saveData)
      return;
    this.stop();
    this.#tile = tile;
    this.#timer = setTimeout(() => this.#play(tile), LINGER_MS);
  }

  // Stops, if it is `name` that plays; the last picture stays on the tile.
  stop(name = this.name) {
    if (!this.#tile || this.#tile.name !== name) return;
    clearTimeout(this.#timer);
    const { view, canvas } = this.#tile;
    if (view.classList.contains("playing")) drawPicture(this.#video, canvas);
    view.classList.remove("playing");
    this.#tile = null;
    this.#player?.stop();
    this.#player = null;
    this.#video.srcObject = null;
    this.#video.remove();
  }

  #play(tile) {
    const player = (this.#player = new WhepPlayer({ url: tile.url, token, audio: false }));
    player.addEventListener("track", ({ detail }) => {
      this.#video.srcObject = detail.stream;
      this.#video.requestVideoFrameCallback(() => {
        if (this.#player === player) tile.view.classList.add("playing");
      });
      this.#video.play().catch(() => {});
    });
    // What is wrong with a stream the tile says anyway; it is no use to try again under the pointer.
    player.addEventListener("state", ({ detail }) => detail.reason && this.stop(tile.name));
    tile.view.append(this.#video);
    player.start();
  }
}
