// The last ten minutes, and each second as it comes.
//
// A sample is {at_ms, egress_bps, egress_pps, viewers, without_media, sessions, joins: {answered, reached, connected,
// served, failed, refused}, setup: {ice_ms, dtls_ms, first_media_ms}, forward_p50_ms, forward_p99_ms, loss, round_trip_ms, repairs_ps, dropped_ps, shards: [{busy, viewers, up}]}; rates are by the second, and
// what nobody reported is null.

import { ask } from "./ask.js";

const SAMPLES_MAX = 600;
const AGAIN_MS = 3_000;
// Samples come every second: without any for so long the connection is dead though nobody said so.
const SILENT_MS = 8_000;

export class Feed {
  samples = [];
  #show;
  #trouble;
  #events = null;
  #timer = 0;
  #asOf = null;

  // Calls `show({samples, version, fresh})` after each sample, `fresh` after all were read anew; and `trouble(words,
  // asOf)` when that changes: why nothing comes, or null.
  constructor({ show, trouble }) {
    this.#show = show;
    this.#trouble = trouble;
  }

  async start() {
    this.pause();
    const events = (this.#events = new EventSource("api/v1/events"));
    events.addEventListener("sample", (event) => this.#events === events && this.#add(JSON.parse(event.data)));
    // The browser tries again by itself, but then some samples are missing.
    events.addEventListener("error", () => this.#events === events && this.#fail());
    this.#watch();
    try {
      const { samples, version } = await ask("api/v1/history");
      if (this.#events !== events) return;
      this.samples = samples;
      this.#live();
      this.#show({ samples, version, fresh: true });
    } catch (error) {
      if (this.#events === events) this.#fail(error.message);
    }
  }

  pause() {
    clearTimeout(this.#timer);
    this.#events?.close();
    this.#events = null;
  }

  #add(sample) {
    if (sample.at_ms <= (this.samples.at(-1)?.at_ms ?? 0)) return;
    this.samples.push(sample);
    if (this.samples.length > SAMPLES_MAX) this.samples.shift();
    this.#live();
    this.#show({ samples: this.samples, fresh: false });
  }

  #live() {
    this.#asOf = Date.now();
    this.#trouble(null, this.#asOf);
    this.#watch();
  }

  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail(), SILENT_MS);
  }

  #fail(words = "The server does not answer. It may be stopped, or other pages hold all places to follow.") {
    this.pause();
    this.#trouble(words, this.#asOf);
    this.#timer = setTimeout(() => this.start(), AGAIN_MS);
  }
}
