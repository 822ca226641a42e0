// The wall: a picture of every stream, in natural order, found by name, by state and by group. What needs
// attention is marked in place and counted at the top; nothing moves because of it.

import { Details } from "./details.js";
import { compareNames, groupByPrefix } from "./natural.js";
import { Preview } from "./preview.js";
import { readSettings, writeSettings } from "./settings.js";
import { Stills } from "./stills.js";
import { StreamList, streamUrl } from "./streams.js";
import { Tile } from "./tile.js";
import { carried } from "./token.js";
import { clockTime, count, sentence, setText } from "./words.js";

const LIST_MS = 3_000;
// Ages in words ("4 min") go on without the server.
const AGES_MS = 5_000;
// Tiles that are about to come onto the screen load their picture already.
const AHEAD = "200px";

const byId = (id) => document.getElementById(id);
const root = new URL(".", location.href);
// As many as are seen well at a time, two on a phone.
const SIZE = Math.min(640, Math.max(160, Math.round(innerWidth / 4.6)));
const settings = readSettings({ size: SIZE, group: false });
const tiles = new Map();
const stills = new Stills();
const preview = new Preview();
const details = new Details(byId("details"), root);
const filter = { words: "", state: "" };
// On the screen, whether or not there is a picture to show.
const seen = new Set();
let loaded = false;

const list = new StreamList({ root, every: LIST_MS, show: showList, trouble: showServer });
const observer = new IntersectionObserver(sawTiles, { rootMargin: AHEAD });

export function start() {
  byId("wall").hidden = false;
  byId("search").addEventListener("input", () => {
    filter.words = byId("search").value.trim().toLowerCase();
    arrange();
  });
  byId("state").addEventListener("change", () => showState(byId("state").value));
  byId("attention").addEventListener("click", () => showState(filter.state === "trouble" ? "" : "trouble"));
  byId("group").checked = settings.group;
  byId("group").addEventListener("change", () => {
    settings.group = byId("group").checked;
    writeSettings(settings);
    arrange();
  });
  byId("size").value = settings.size;
  byId("size").addEventListener("input", () => resize(Number(byId("size").value)));
  byId("size").addEventListener("change", () => {
    writeSettings(settings);
    stills.renew();
  });
  byId("show-all").addEventListener("click", showAll);
  resize(settings.size);
  const streams = byId("streams");
  streams.addEventListener("pointerover", (event) => event.pointerType === "mouse" && pointAt(event));
  streams.addEventListener("pointerleave", () => preview.stop());
  streams.addEventListener("focusin", (event) => event.target.matches(":focus-visible") && pointAt(event));
  streams.addEventListener("focusout", (event) => {
    if (!tileOf(event.relatedTarget)) preview.stop();
  });
  streams.addEventListener("click", openDetails);
  document.addEventListener("keydown", handleKey);
  setInterval(() => document.hidden || tiles.forEach((tile) => tile.show()), AGES_MS);
  // A debugging aid; the tests read it too.
  window.sluiceWall = { counts: stills.counts, tiles, preview };
}

// -------------------------------------------------------------------------------------------- the list

function showList({ version, streams }) {
  loaded = true;
  setText(byId("version"), `Sluice ${version}`);
  const names = new Set(streams.map((stream) => stream.name));
  for (const [name, tile] of tiles) {
    if (names.has(name)) continue;
    leave(tile);
    observer.unobserve(tile.element);
    tiles.delete(name);
  }
  for (const stream of streams) {
    const tile = tiles.get(stream.name) ?? newTile(stream.name);
    tile.update(stream, stream.since ? list.age(stream.since) : null);
    if (seen.has(tile)) look(tile);
    if (details.name === tile.name) details.update(stream, tile);
  }
  arrange();
}

function newTile(name) {
  const tile = new Tile(byId("tile"), name, carried(streamUrl(root, name)));
  tiles.set(name, tile);
  observer.observe(tile.element);
  return tile;
}

function showServer(words, asOf, refused) {
  stills.hold(refused);
  // Nothing else is on the page then.
  byId("refused").hidden = !refused || loaded;
  if (refused && !loaded) {
    setText(byId("refusal"), sentence(words));
    words = null;
  }
  const box = byId("server");
  document.body.classList.toggle("stale", Boolean(words));
  if (words) words = sentence(words);
  if (words && asOf) words += ` What you see is as of ${clockTime(asOf)}.`;
  setText(box, words ?? "");
  box.hidden = !words;
}

// ------------------------------------------------------------------------------------------- the order

function arrange() {
  const all = [...tiles.values()].sort((a, b) => compareNames(a.name, b.name));
  const troubled = all.filter((tile) => tile.trouble);
  const shown = all.filter((tile) => tile.name.toLowerCase().includes(filter.words) && tile.is(filter.state));
  const groups = settings.group ? groupByPrefix(shown, (tile) => tile.name) : [{ name: null, items: shown }];
  placeGroups(shown.length > 0 ? groups : []);

  const viewers = all.reduce((sum, tile) => sum + tile.stream.viewers, 0);
  setText(byId("summary"), all.length ? `${count(all.length, "stream")}, ${count(viewers, "viewer")}` : "");
  const attention = byId("attention");
  attention.hidden = troubled.length === 0;
  attention.setAttribute("aria-pressed", String(filter.state === "trouble"));
  setText(
    attention.querySelector("span"),
    `${troubled.length} of ${all.length} need${troubled.length === 1 ? "s" : ""} attention`,
  );
  byId("controls").hidden = all.length === 0;
  const some =
    shown.length < all.length ? `&streams=${shown.map((tile) => encodeURIComponent(tile.name)).join()}` : "";
  byId("screen").href = carried(`?wall${some}`);
  byId("empty").hidden = !loaded || all.length > 0;
  byId("none").hidden = all.length === 0 || shown.length > 0;
}

// Moves only what is in another place than before.
function placeGroups(groups) {
  const sections = groups.map(({ name, items }, index) => {
    const section = byId("streams").children[index] ?? byId("streams").appendChild(newGroup());
    const heading = section.querySelector("h2");
    const words = name ?? (groups.length > 1 ? "Others" : "");
    setText(heading, words);
    heading.hidden = !words;
    const places = section.querySelector("ul");
    places.setAttribute("aria-label", words || "Streams");
    items.forEach((tile, place) => {
      if (places.children[place] !== tile.element)
        places.insertBefore(tile.element, places.children[place] ?? null);
    });
    while (places.children.length > items.length) places.lastElementChild.remove();
    return section;
  });
  while (byId("streams").children.length > sections.length) byId("streams").lastElementChild.remove();
}

function newGroup() {
  return byId("group-of-tiles").content.firstElementChild.cloneNode(true);
}

function showState(state) {
  byId("state").value = filter.state = state;
  arrange();
}

function showAll() {
  byId("search").value = filter.words = "";
  showState("");
  byId("search").focus();
}

function resize(width) {
  settings.size = width;
  byId("streams").style.setProperty("--tile", `${width}px`);
  byId("streams").classList.toggle("small", width < 220);
}

// ---------------------------------------------------------------------------------------- the pictures

function sawTiles(entries) {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) {
      seen.add(target.tile);
      look(target.tile);
    } else {
      leave(target.tile);
    }
  }
}

// A tile is on the screen: its picture is kept new while the stream plays, and loaded once while it does not.
function look(tile) {
  if (!tile.stream?.picture || (!tile.playing && tile.canvas.still)) {
    stills.unwant(tile.name);
    return;
  }
  stills.want(tile.name, {
    url: streamUrl(root, tile.name, "frame.mp4?layer=low"),
    canvas: tile.canvas,
    done: (picture) => {
      const before = tile.trouble;
      tile.element.classList.add("shown");
      tile.pictureCame(picture);
      if (tile.trouble !== before) arrange();
      if (!tile.playing) stills.unwant(tile.name);
    },
  });
}

function leave(tile) {
  seen.delete(tile);
  stills.unwant(tile.name);
  preview.stop(tile.name);
}

// ------------------------------------------------------------------------------------ pointer, keyboard

function tileOf(element) {
  return element?.closest?.(".tile")?.tile ?? null;
}

function pointAt(event) {
  const tile = tileOf(event.target);
  if (!tile || !event.target.closest(".view")) return preview.stop();
  if (tile.playing && tile.stream.video)
    preview.start({
      name: tile.name,
      url: streamUrl(root, tile.name, "whep?layer=low"),
      view: tile.view,
      canvas: tile.canvas,
    });
}

function openDetails(event) {
  const tile = event.target.closest("button") && tileOf(event.target);
  if (tile) details.open(tile.stream, tile);
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function handleKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || byId("details").open) return;
  const typing = event.target.matches("input, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    byId("search").focus();
  } else if (event.key === "Escape" && event.target === byId("search")) {
    showAll();
  } else if (STEPS[event.key] && event.target.matches(".view")) {
    const next = neighbour(event.target, ...STEPS[event.key]);
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}

// The tile beside this one, or the nearest of the next row.
function neighbour(view, across, down) {
  const views = [...document.querySelectorAll(".view")];
  if (across) return views[views.indexOf(view) + across];
  const { left, top } = view.getBoundingClientRect();
  const others = views.map((other) => ({ other, box: other.getBoundingClientRect() }));
  const beyond = others.filter(({ box }) => (box.top - top) * down > 1);
  const distance = ({ box }) => Math.abs(box.top - top) * 10 + Math.abs(box.left - left);
  return beyond.sort((a, b) => distance(a) - distance(b))[0]?.other;
}
