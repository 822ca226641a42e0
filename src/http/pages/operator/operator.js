// The operator's page: the last ten minutes, what streams and viewers do, the last lines of the log, and the
// configuration in effect. All of it is read from `api/v1`; nothing is asked while nobody looks.

import { Charts } from "./charts.js";
import { Feed } from "./feed.js";
import { LogLines } from "./lines.js";
import { Probe } from "./probe.js";
import { Settings } from "./given.js";
import { Shards } from "./shards.js";
import { Streams } from "./inputs.js";
import { Viewers } from "./watchers.js";
import { bitrate } from "./units.js";
import { clockTime, count, setText } from "./words.js";

// Tables are read again after so many samples.
const TABLES_EVERY = 2;

const byId = (id) => document.getElementById(id);
const chosen = { stream: "" };
const charts = new Charts(byId("plots"));
const shards = new Shards(byId("shards"));
const streams = new Streams(byId("streams"), choose);
const viewers = new Viewers(byId("viewers"), choose);
const log = new LogLines(byId("log"), choose);
const settings = new Settings(byId("settings"));
new Probe(byId("probe"));
const tables = [streams, viewers, log];
let samplesSince = 0;

const feed = new Feed({ show, trouble: showServer });

function show({ samples, version, fresh }) {
  charts.show(samples);
  shards.show(samples);
  const last = samples.at(-1);
  if (last) {
    const { viewers: watching, egress_bps } = last;
    setText(byId("summary"), `${count(watching, "viewer")}, ${bitrate(egress_bps)}`);
  }
  if (fresh) {
    setText(byId("version"), `Sluice ${version}.`);
    settings.refresh();
  }
  samplesSince += 1;
  if (!fresh && samplesSince < TABLES_EVERY) return;
  samplesSince = 0;
  tables.forEach((table) => table.refresh());
}

function showServer(words, asOf) {
  document.body.classList.toggle("stale", words !== null);
  byId("server").hidden = words === null;
  if (words) setText(byId("server"), asOf ? `${words} What is shown is of ${clockTime(asOf)}.` : words);
}

// The stream that viewers and log are about; all of them if it is empty.
function choose(stream) {
  chosen.stream = stream;
  streams.choose(stream);
  viewers.choose(stream);
  log.choose(stream);
}

const PARTS = ["charts", "streams", "probe", "viewers", "log", "settings"];

function handleKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const typing = event.target.matches("input[type=search], input[type=text], select");
  if (event.key === "Escape") {
    viewers.forget();
    choose("");
    if (typing) event.target.blur();
  } else if (typing) {
    return;
  } else if (event.key === "/") {
    event.preventDefault();
    byId("viewers").scrollIntoView();
    byId("viewers-session").focus();
  } else if (PARTS[Number(event.key) - 1]) {
    const part = byId(PARTS[Number(event.key) - 1]);
    part.scrollIntoView();
    part.focus({ preventScroll: true });
  }
}

document.addEventListener("keydown", handleKey);
document.addEventListener("visibilitychange", () => (document.hidden ? feed.pause() : feed.start()));
if (!document.hidden) feed.start();
// A debugging aid; the tests read it too.
window.sluiceOperator = { charts, feed, shards, streams, viewers, log, settings };
