// The configuration in effect, and who gave each value.

import { ask } from "./ask.js";
import { Rows } from "./rows.js";
import { count, setText } from "./words.js";

export class Settings {
  #element;
  #rows;
  #settings = [];

  constructor(element) {
    this.#element = element;
    this.#rows = new Rows(element.querySelector("tbody"), [
      { label: "Key", kind: "key", text: ({ key }) => key },
      { label: "Value", kind: "value wide", text: valueWords },
      { label: "From", kind: "origin", text: ({ origin }) => origin },
    ]);
    element.querySelector("#settings-given").addEventListener("change", () => this.#show());
  }

  async refresh() {
    try {
      this.#settings = (await ask("api/v1/config")).settings;
      this.#show();
    } catch {
      // The feed says that the server is away.
    }
  }

  #show() {
    const given = this.#element.querySelector("#settings-given").checked;
    const shown = this.#settings.filter(({ origin, after_restart }) => !given || origin !== "default" || after_restart !== null);
    this.#rows.show(shown, ({ key }) => key, (row, { origin, after_restart }) => {
      row.classList.toggle("default", origin === "default");
      row.classList.toggle("waits", after_restart !== null);
    });
    setText(this.#element.querySelector(".now"), `${shown.length} of ${count(this.#settings.length, "key")}`);
  }
}

function valueWords({ value, after_restart }) {
  const now = value === "" ? "(nothing)" : value;
  return after_restart === null ? now : `${now}, after a restart ${after_restart || "(nothing)"}`;
}
