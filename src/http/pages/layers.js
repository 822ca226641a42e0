// The layers of a pair: which the player shows, which there are to choose from, and what is said where another one is shown
// than was chosen.
//
// Owns the menu and the note. Reads `layer` of the session (docs/WHEP.md) now and then, and of a stream with one layer
// nothing at all.

import { codecName, setText, sizeWords } from "./words.js";

// As long a note may be late that the camera is away, or back.
const LOOK_MS = 2_000;

const NAMES = { high: "High", low: "Low" };

export class Layers {
  #player;
  #menu;
  #note;
  #told = null;
  #session = null;
  #lookedAt = -Infinity;
  // The layer that is wanted was away, so that this session may be of the other's codec.
  #wasAway = false;
  // Somebody moved the menu, and the server does not know yet.
  #isChoosing = false;

  constructor(player, menu, note) {
    this.#player = player;
    this.#menu = menu;
    this.#note = note;
    menu.addEventListener("change", () => this.choose(menu.value));
  }

  // What `layer` said last, or null: a debugging aid.
  get told() {
    return this.#told;
  }

  // Chooses a layer by its name.
  async choose(name) {
    this.#wasAway = false;
    this.#isChoosing = true;
    await this.#player.choose(name);
    this.#isChoosing = false;
    this.#lookedAt = -Infinity;
    await this.look();
  }

  // Looks what is shown; call it once a second.
  async look() {
    const { session, state } = this.#player;
    if (!session?.layer || state !== "connected") return;
    const now = performance.now();
    if (this.#session === session && now - this.#lookedAt < LOOK_MS) return;
    this.#session = session;
    this.#lookedAt = now;
    const told = await this.#player.layers();
    if (!told || this.#player.session !== session) return;
    this.#told = told;
    this.#show();
    this.#joinAgainIfNeeded();
  }

  #show() {
    const { layers, encodingId, chosen } = this.#told;
    this.#menu.hidden = layers.length < 2;
    const words = layers.map(({ encodingId: name, codec, width, height, active }) => {
      const facts = [NAMES[name] ?? name, sizeWords({ width, height }), codec && codecName(codec), !active && "away"];
      return facts.filter(Boolean).join(" · ");
    });
    const key = JSON.stringify(words);
    if (this.#menu.dataset.key !== key) {
      this.#menu.dataset.key = key;
      this.#menu.replaceChildren(...layers.map(({ encodingId: name }, place) => new Option(words[place], name)));
    }
    // Whoever chooses moves it, and may not get what was chosen.
    if (!this.#isChoosing && this.#menu.value !== chosen) this.#menu.value = chosen;
    const note = this.#noteOf(layers.find(({ encodingId: name }) => name === this.#wanted), encodingId);
    setText(this.#note, note);
    this.#note.hidden = !note;
  }

  get #wanted() {
    return this.#player.wantedLayer ?? "high";
  }

  // What is said where the layer that is `shown` is not the one that is wanted, or is away itself.
  #noteOf(wanted, shown) {
    const picture = (name) => `The ${name} picture of this camera`;
    const isAway = (name) => this.#told.layers.some((layer) => layer.encodingId === name && !layer.active);
    if (isAway(shown)) return `${picture(shown)} is away; it comes back by itself.`;
    if (!wanted || wanted.encodingId === shown) return "";
    if (!wanted.active) return `${picture(wanted.encodingId)} is away; the ${shown} one is shown until it is back.`;
    // Who did not ask for it gets what there is for them.
    if (wanted.playable || !this.#player.wantedLayer) return "";
    const codec = wanted.codec ? codecName(wanted.codec) : "in another format";
    return `${picture(wanted.encodingId)} is ${codec}, which this browser cannot play; the ${shown} one is shown.`;
  }

  // A session keeps its codec: where the layer that is back has another, only a new one can show it. (One that can be shown
  // nothing any more the server ends.)
  #joinAgainIfNeeded() {
    const { active, playable, codec } = this.#told.layers.find((layer) => layer.encodingId === this.#wanted) ?? {};
    if (active && this.#wasAway && !playable && canPlay(codec)) this.#player.start();
    this.#wasAway = active === false;
  }
}

// Whether an offer of this browser has that codec.
function canPlay(codec) {
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs;
  return !codecs || codecs.some(({ mimeType }) => mimeType.toLowerCase() === `video/${codec}`.toLowerCase());
}
