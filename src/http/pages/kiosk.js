// The kiosk: live pictures and nothing else, for a screen that nobody sits at.
//
//     /?wall                          every stream
//     &streams=gate,yard,cam*         these, in this order; a star stands for anything
//     &columns=3                      pictures side by side (otherwise as many as show most)
//     &cycle=20s                      how long a page of pictures is shown when they do not all fit
//
// What is not shown is not played: a hidden page, and streams of another page of pictures, cost nothing.

import { COLUMNS_MAX, readAddress } from "./address.js";
import { Cell } from "./cell.js";
import { compareNames } from "./natural.js";
import { StreamList } from "./streams.js";
import { sentence } from "./words.js";

const LIST_MS = 10_000;
// Narrower pictures show too little, and each costs a decoder.
const CELL_MIN_PX = 240;
const LOOK_MS = 1_000;
const IDLE_MS = 3_000;
const DOUBTS_MS = 30_000;

const kiosk = document.getElementById("kiosk");
const root = new URL(".", location.href);
const wanted = readAddress(new URLSearchParams(location.search));
// Those on the screen, by name.
const cells = new Map();
let streams = [];
let listed = false;
let serverAway = false;
let refusal = "";
let page = 0;
let cycleTimer = 0;
let doubtsTimer = 0;
let idleTimer = 0;

export function start() {
  document.body.className = "kiosk";
  document.title = "Wall · Sluice";
  kiosk.hidden = false;
  new StreamList({ root, every: LIST_MS, show: showList, trouble: showServer });
  addEventListener("resize", layOut);
  document.addEventListener("visibilitychange", () => (document.hidden ? leaveAll() : layOut()));
  document.addEventListener("pointermove", wake);
  document.addEventListener("keydown", handleKey);
  setInterval(() => cells.forEach((cell) => cell.look()), LOOK_MS);
  sayDoubts(wanted.doubts);
  keepAwake();
  wake();
  // A debugging aid; the tests read it too.
  window.sluiceKiosk = { cells };
}

function showList(list) {
  const chosen = choose(list.streams);
  // Once: streams come and go with the server only, and nobody may sit there to read it.
  const strange = wanted.streams.filter((name) => !list.streams.some(fits(name)));
  if (!listed && chosen.length > 0) sayDoubts(strange.map(unknown));
  listed = true;
  const before = streams.map((stream) => stream.name).join();
  streams = chosen;
  cells.forEach((cell) => (cell.stream = streams.find((stream) => stream.name === cell.name) ?? null));
  if (chosen.map((stream) => stream.name).join() !== before || cells.size === 0) layOut();
}

// Without an answer what plays goes on: the list is not needed for it.
function showServer(words, asOf, refused) {
  serverAway = Boolean(words) && !refused;
  refusal = refused ? sentence(words) : "";
  cells.forEach((cell) => Object.assign(cell, { serverAway, refusal }));
  if (words && streams.length === 0) notice(sentence(words));
}

// The streams that the address names, in its order. A name that is not there yet has a place all the same.
function choose(all) {
  const sorted = [...all].sort((a, b) => compareNames(a.name, b.name));
  if (wanted.streams.length === 0) return sorted;
  const found = wanted.streams.flatMap((name) => {
    const fitting = sorted.filter(fits(name));
    return fitting.length > 0 || name.includes("*") ? fitting : [{ name, missing: true }];
  });
  return found.filter((stream, place) => found.findIndex(({ name }) => name === stream.name) === place);
}

// Whether a stream has this name, in which a star stands for anything.
function fits(pattern) {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const expression = new RegExp(`^${parts.join(".*")}$`, "su");
  return ({ name }) => expression.test(name);
}

function unknown(name) {
  const what = name.includes("*") ? "no stream has a name like that" : "there is no stream of that name";
  return `streams=${name}: ${what}; ${root.pathname} lists those there are.`;
}

// ------------------------------------------------------------------------------------------ the screen

// {columns, rows} that show `count` pictures of 16:9 as large as can be, or the most that fit.
function grid(count) {
  const { innerWidth: width, innerHeight: height } = window;
  const most = Math.max(1, Math.min(COLUMNS_MAX, Math.floor(width / CELL_MIN_PX)));
  const rowsOf = (columns) => Math.max(1, Math.round(height / ((width / columns) * (9 / 16))));
  if (wanted.columns)
    return {
      columns: wanted.columns,
      rows: Math.min(rowsOf(wanted.columns), Math.ceil(count / wanted.columns)),
    };
  let best = null;
  for (let columns = 1; columns <= most; columns++) {
    const rows = Math.min(Math.ceil(count / columns), rowsOf(most) * 2);
    const size = Math.min(width / columns, (height / rows) * (16 / 9));
    const shown = Math.min(count, columns * rows);
    if (size < Math.min(CELL_MIN_PX, width)) continue;
    if (!best || shown > best.shown || (shown === best.shown && size >= best.size))
      best = { columns, rows, size, shown };
  }
  return best ?? { columns: most, rows: rowsOf(most) };
}

function layOut() {
  if (document.hidden) return;
  if (streams.length === 0) return notice(wanted.streams.map(unknown).join(" ") || "There is no stream to show.");
  const { columns, rows } = grid(streams.length);
  const places = columns * rows;
  const pages = Math.ceil(streams.length / places);
  page %= pages;
  const shown = streams.slice(page * places, (page + 1) * places);
  const template = (number) => `repeat(${number}, minmax(0, 1fr))`;
  kiosk.style.gridTemplateColumns = template(Math.min(columns, pages > 1 ? columns : shown.length));
  kiosk.style.gridTemplateRows = template(rows);

  const names = new Set(shown.map((stream) => stream.name));
  for (const [name, cell] of cells) {
    if (!names.has(name)) leave(cell);
  }
  kiosk.querySelector(".notice")?.remove();
  shown.forEach((stream, place) => {
    const cell = cells.get(stream.name) ?? enter(stream);
    if (kiosk.children[place] !== cell.element)
      kiosk.insertBefore(cell.element, kiosk.children[place] ?? null);
  });
  clearTimeout(cycleTimer);
  if (pages > 1) cycleTimer = setTimeout(turn, wanted.cycle);
}

function turn() {
  page += 1;
  layOut();
}

function enter(stream) {
  const cell = new Cell(root, stream);
  Object.assign(cell, { serverAway, refusal });
  cells.set(stream.name, cell);
  return cell;
}

function leave(cell) {
  cell.stop();
  cells.delete(cell.name);
}

function leaveAll() {
  clearTimeout(cycleTimer);
  [...cells.values()].forEach(leave);
}

function notice(words) {
  leaveAll();
  const box = document.createElement("p");
  box.className = "notice";
  box.setAttribute("role", "status");
  box.textContent = words;
  kiosk.replaceChildren(box);
}

// To whoever sets the screen up; it goes away by itself.
function sayDoubts(sentences) {
  if (sentences.length === 0) return;
  const box = document.querySelector(".doubts") ?? document.createElement("ul");
  box.className = "doubts";
  box.setAttribute("role", "status");
  box.append(
    ...sentences.map((words) => Object.assign(document.createElement("li"), { textContent: words })),
  );
  document.body.append(box);
  clearTimeout(doubtsTimer);
  doubtsTimer = setTimeout(() => box.remove(), DOUBTS_MS);
}

// ------------------------------------------------------------------------------------------- the rest

// Browsers allow it to https and localhost; the lock ends whenever the page is hidden.
async function keepAwake() {
  const lock = async () => {
    try {
      await navigator.wakeLock?.request("screen");
    } catch {
      // A battery that is low, or a policy.
    }
  };
  document.addEventListener("visibilitychange", () => document.hidden || lock());
  await lock();
}

function handleKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "f") {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen?.().catch(() => {});
  } else if (event.key === "ArrowRight" || event.key === " ") {
    turn();
  }
}

function wake() {
  document.body.classList.remove("idle");
  clearTimeout(idleTimer);
  idleTimer = setTimeout(() => document.body.classList.add("idle"), IDLE_MS);
}
