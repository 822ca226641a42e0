// The streams before and behind this one, in the order of the wall.

import { compareNames } from "./natural.js";
import { streamUrl } from "./streams.js";
import { listBeside } from "./token.js";

// The list does not change often; a stream that is gone says so on its own page.
const KEPT_MS = 60_000;

export class Neighbours {
  #root;
  #name;
  #names = [];
  #asked = -Infinity;

  constructor(root, name) {
    this.#root = root;
    this.#name = name;
  }

  // The address of the page `step` streams further (-1 or 1, round about), or null when this is the only one.
  async address(step) {
    await this.#load();
    const others = this.#names.filter((name) => name !== this.#name);
    if (others.length === 0) return null;
    // It need not be among them: the page of a stream that is not there has neighbours too.
    const place = others.findIndex((name) => compareNames(name, this.#name) > 0);
    const behind = place === -1 ? others.length : place;
    const at = step > 0 ? behind : behind - 1;
    const url = streamUrl(this.#root, others[(at + others.length) % others.length]);
    return Object.assign(url, { search: location.search, hash: location.hash });
  }

  async #load() {
    if (performance.now() - this.#asked < KEPT_MS) return;
    this.#asked = performance.now();
    try {
      const [url, headers] = listBeside();
      const response = await fetch(url, { headers });
      const { streams } = await response.json();
      this.#names = streams.map((stream) => stream.name).sort(compareNames);
    } catch {
      // Then there is nowhere to go; the page itself says that the server is away.
      this.#asked = -Infinity;
    }
  }
}
