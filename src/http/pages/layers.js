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
    await this.#player.choose(name);
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
    const key = JSON.stringify([words, chosen]);
    if (this.#menu.dataset.key !== key) {
      this.#menu.dataset.key = key;
      const option = ({ encodingId: name }, place) => new Option(words[place], name, false, name === chosen);
      this.#menu.replaceChildren(...layers.map(option));
      this.#menu.value = chosen;
    }
    const wanted = this.#player.wantedLayer ?? "high";
    const stands = encodingId !== wanted && layers.some(({ encodingId: name, active }) => name === wanted && !active);
    const note = stands
      ? `The ${wanted} picture of this camera is away; the ${encodingId} one is shown until it is back.`
      : "";
    setText(this.#note, note);
    this.#note.hidden = !note;
  }

  // A session keeps its codec: where the layer that is back has another, only a new one can show it. (One that can be shown
  // nothing any more the server ends.)
  #joinAgainIfNeeded() {
    const wanted = this.#player.wantedLayer ?? "high";
    const { active, playable } = this.#told.layers.find((layer) => layer.encodingId === wanted) ?? {};
    if (active && this.#wasAway && !playable) this.#player.start();
    this.#wasAway = active === false;
  }
}
