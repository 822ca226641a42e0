// The last lines of the log, of one stream or of all, as they come.

import { ask } from "./ask.js";
import { clockTime, count, setText } from "./words.js";

const LINES = 200;

export class LogLines {
  #find;
  #after = 0;
  #about = null;

  constructor(element, choose) {
    this.#find = (selector) => element.querySelector(selector);
    this.#find("#log-stream").addEventListener("change", (event) => choose(event.target.value));
    this.#find("#log-detail").addEventListener("change", () => this.refresh());
    this.#find("form").addEventListener("submit", (event) => event.preventDefault());
  }

  choose(stream) {
    this.#find("#log-stream").value = stream;
    this.refresh();
  }

  async refresh() {
    const list = this.#find(".lines");
    const asked = new URLSearchParams({ limit: LINES });
    const stream = this.#find("#log-stream").value;
    if (stream) asked.set("stream", stream);
    if (!this.#find("#log-detail").checked) asked.set("level", "info");
    const about = asked.toString();
    const anew = about !== this.#about;
    if (!anew) asked.set("after", this.#after);
    this.#about = about;
    let lines;
    try {
      ({ lines } = await ask(`api/v1/log?${asked}`));
    } catch {
      this.#about = null;
      return;
    }
    // Something else is asked for by now.
    if (this.#about !== about) return;
    // Whoever reads further up is not moved.
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    if (anew) list.replaceChildren();
    list.append(...lines.map(lineElement));
    while (list.childElementCount > LINES) list.firstElementChild.remove();
    this.#after = Math.max(anew ? 0 : this.#after, ...lines.map((line) => line.number));
    if (anew || atEnd) list.scrollTop = list.scrollHeight;
    setText(this.#find(".now"), count(list.childElementCount, "line"));
  }
}

function lineElement({ at_ms, level, part, text, fields }) {
  const line = document.createElement("li");
  line.dataset.level = level;
  line.title = part;
  const say = (tag, words) => Object.assign(document.createElement(tag), { textContent: words });
  line.append(say("time", clockTime(at_ms)), say("b", level), say("span", text));
  for (const [name, value] of fields) {
    const field = say("span", `${name}=`);
    field.className = "field";
    field.append(say("i", value));
    line.append(" ", field);
  }
  return line;
}
