// Plays one stream in Chromium and prints what the browser measured, as one line of JSON on stdout.
//
//   node play.mjs --url http://127.0.0.1:8889/demo/ [--seconds 5] [--min-frames 1] [--screenshot FILE.png]
//                 [--joins N] [--timeout SECONDS]
//   node play.mjs --url ... --hold [--timeout SECONDS]
//   node play.mjs --url https://... --any-certificate ...
//   node play.mjs --url ... --user NAME:PASSWORD ...
//
// Without --hold: opens the page, waits for the first picture, plays on for --seconds, prints the report and
// ends. --min-frames 0 does not wait for a picture (for pages that show an error). --joins N loads the page
// N times at random moments (so at random places in the group of pictures) and adds the times from the WHEP
// request to the first picture.
//
// With --any-certificate the browser does not ask who vouches for the server. With --user it is answered so when it asks for a
// name and a password, as a person would who types them in its window; otherwise that window is closed.
//
// With --hold the page stays open, and each line on stdin has one line of JSON as its answer:
//   stats              the report
//   screenshot FILE    {"screenshot": FILE}
//   eval CODE          {"value": what the expression, or the promise it is, becomes in the page}
//   hover SELECTOR     {"hover": SELECTOR}, with the pointer on it
//   press KEY          {"press": KEY}
//   view WIDTH HEIGHT  {"view": "WIDTH HEIGHT"}
//   media NAME=VALUE   {"media": NAME=VALUE}, a media feature from now on
//   block PATTERN      {"block": PATTERN}: what matches it (`*x.js`) gets no answer until another one is named; `none` is none
//   quit               the report; then the program ends, as it does when stdin closes
// The first line, {"ready": true}, comes when the page is loaded.
//
// Exit status: 0 good, 1 `ok` is false, 2 wrong arguments or the browser did not start. After --timeout it ends in
// any case, with status 1. It never leaves a Chromium behind. CHROMIUM names another browser than
// /usr/bin/chromium.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import puppeteer from "puppeteer-core";

// Longer than one group of pictures: a viewer who has no picture after this will not get one.
const FIRST_FRAME_MS = 15_000;
const JOIN_SPREAD_MS = 2_000;
const LEAVE_MS = 2_000;
// How often the page is tried while interfaces of the machine come and go.
const VISITS = 10;

const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--allow-loopback-in-peer-connection",
  "--autoplay-policy=no-user-gesture-required",
];

const options = readOptions();
const profile = mkdtempSync(join(tmpdir(), "sluice-browser-"));
const errors = [];
const joins = [];
let browser = null;
let page = null;
let blocking = null;

process.on("exit", cleanUp);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));
setTimeout(giveUp, options.timeout * 1000).unref();

try {
  page = await openPage();
} catch (error) {
  console.error(`play.mjs: the browser did not open ${options.url}: ${error.message}`);
  process.exit(2);
}
const final = options.hold ? await hold() : await play();
await leave();
print(final);
process.exit(final.ok ? 0 : 1);

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        url: { type: "string" },
        seconds: { type: "string", default: "5" },
        "min-frames": { type: "string", default: "1" },
        screenshot: { type: "string" },
        joins: { type: "string", default: "0" },
        hold: { type: "boolean", default: false },
        timeout: { type: "string" },
        "any-certificate": { type: "boolean", default: false },
        user: { type: "string" },
      },
    });
    const number = (name, otherwise) => {
      const value = Number(values[name] ?? otherwise);
      if (!(value >= 0)) throw new Error(`--${name} wants a number, not ${values[name]}`);
      return value;
    };
    const seconds = number("seconds");
    const many = number("joins");
    return {
      url: new URL(values.url ?? "").href,
      seconds,
      joins: many,
      minFrames: number("min-frames"),
      timeout: number("timeout", values.hold ? 120 : 45 + seconds + many * 5),
      screenshot: values.screenshot,
      hold: values.hold,
      user: values.user?.match(/^([^:]*):(.*)$/),
      flags: values["any-certificate"] ? ["--ignore-certificate-errors"] : [],
    };
  } catch (error) {
    console.error(
      `play.mjs: ${error.message}\nusage: node play.mjs --url URL [options]; the top of the file explains them`,
    );
    process.exit(2);
  }
}

async function openPage() {
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [...FLAGS, ...options.flags],
    userDataDir: profile,
    defaultViewport: { width: 1280, height: 720 },
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  const [tab] = await browser.pages();
  tab.on("pageerror", (error) => note("page", String(error.stack ?? error)));
  tab.on("error", (error) => note("crash", error.message));
  tab.on("console", (message) => {
    if (message.type() !== "error") return;
    const { url = "" } = message.location();
    note("console", `${message.text()} ${url}`.trim());
  });
  // The console shows most violations, but as prose; the event has the facts.
  await tab.exposeFunction("reportViolation", (text) => note("csp", text));
  await tab.evaluateOnNewDocument(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      window.reportViolation(
        `${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`,
      );
    });
  });
  if (options.user) {
    const [, username, password] = options.user;
    await tab.authenticate({ username, password });
  }
  const response = await visit(tab);
  // Its window was closed, or what was typed there is wrong: the browser shows what came with the question, or nothing.
  if (!response || /^Basic/i.test(response.headers()["www-authenticate"] ?? ""))
    note("page", `asked in vain for a name and a password for ${options.url}`);
  else if (!response.ok()) note("page", `status ${response.status()} for ${options.url}`);
  return tab;
}

// Opens the page, and gives nothing where the browser asked who it is in vain; again if an interface of the machine (another test's, say) came or went meanwhile.
async function visit(tab) {
  for (let left = VISITS - 1; ; left--) {
    try {
      return await tab.goto(options.url, { waitUntil: "load" });
    } catch (error) {
      if (error.message.includes("ERR_INVALID_AUTH_CREDENTIALS")) return null;
      if (left === 0 || !error.message.includes("ERR_NETWORK_CHANGED")) throw error;
      await sleep(LEAVE_MS / 10);
    }
  }
}

// What repeats (a page that tries again, say) is listed once, with its count.
function note(kind, text) {
  const known = errors.find((error) => error.kind === kind && error.text === text);
  if (known) known.count += 1;
  else errors.push({ kind, text, count: 1 });
}

async function play() {
  if (options.minFrames > 0) await firstFrame();
  for (let n = 0; n < options.joins; n++) {
    await sleep(Math.random() * JOIN_SPREAD_MS);
    await page.reload({ waitUntil: "load" });
    joins.push(await firstFrame());
  }
  await sleep(options.seconds * 1000);
  if (options.screenshot) await page.screenshot({ path: options.screenshot });
  return report();
}

async function hold() {
  print({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, ...rest] = line.trim().split(" ");
    if (command === "quit") break;
    if (command === "stats") {
      print(await report());
    } else if (command === "screenshot" && rest.length > 0) {
      await page.screenshot({ path: rest.join(" ") });
      print({ screenshot: rest.join(" ") });
    } else {
      print(await act(command, rest.join(" ")).catch((error) => ({ error: error.message })));
    }
  }
  return report();
}

async function act(command, text) {
  switch (command) {
    case "eval":
      return { value: (await page.evaluate(text)) ?? null };
    case "hover":
      await page.hover(text);
      break;
    case "press":
      await page.keyboard.press(text);
      break;
    case "view": {
      const [width, height] = text.split(" ").map(Number);
      await page.setViewport({ width, height });
      break;
    }
    case "media": {
      const [name, value] = text.split("=");
      await page.emulateMediaFeatures([{ name, value }]);
      break;
    }
    case "block": {
      blocking ??= await page.createCDPSession();
      await blocking.send("Network.enable");
      await blocking.send("Network.setBlockedURLs", { urls: text === "none" ? [] : [text] });
      break;
    }
    default:
      throw new Error(`unknown command: ${command}`);
  }
  return { [command]: text };
}

// Leaves the page as a person would, so that it can free its session on the server (the request outlives it).
async function leave() {
  await Promise.race([page.goto("about:blank"), sleep(LEAVE_MS)]).catch(() => {});
  await sleep(LEAVE_MS / 10);
}

// Milliseconds from the WHEP request to the first picture, or null when none came.
async function firstFrame() {
  const end = Date.now() + FIRST_FRAME_MS;
  while (Date.now() < end) {
    const ms = await page.evaluate(async () => (await window.sluice?.stats())?.timeToFirstFrameMs ?? null);
    if (ms !== null) return ms;
    await sleep(50);
  }
  return null;
}

async function report() {
  const { stats, message } = await page.evaluate(async () => {
    const box = document.getElementById("message");
    return {
      stats: (await window.sluice?.stats()) ?? null,
      message: box && !box.hidden ? box.innerText.replace(/\s*\n\s*/g, " ").trim() : null,
    };
  });
  const { video: v, audio: a, transport: t } = stats ?? {};
  const result = {
    ok: false,
    failures: [],
    url: options.url,
    browser: await browser.version(),
    state: stats?.state ?? null,
    message,
    timeToFirstFrameMs: stats?.timeToFirstFrameMs ?? null,
    video: v && {
      ...pick(v, [
        "framesDecoded",
        "frameWidth",
        "frameHeight",
        "framesPerSecond",
        "framesReceived",
        "framesDropped",
      ]),
      ...pick(v, [
        "keyFramesDecoded",
        "freezeCount",
        "totalFreezesDuration",
        "packetsReceived",
        "packetsLost",
      ]),
      ...pick(v, [
        "retransmittedPacketsReceived",
        "nackCount",
        "pliCount",
        "firCount",
        "bytesReceived",
        "ssrc",
      ]),
      ...codecAndDelay(v),
    },
    audio: a && {
      ...pick(a, [
        "packetsReceived",
        "packetsLost",
        "totalSamplesReceived",
        "concealedSamples",
        "totalAudioEnergy",
      ]),
      ...pick(a, ["audioLevel", "bytesReceived", "ssrc"]),
      ...codecAndDelay(a),
    },
    transport: t && {
      ...pick(t, ["dtlsState", "dtlsCipher", "srtpCipher", "tlsVersion"]),
      local: t.pair?.local ?? null,
      remote: t.pair?.remote ?? null,
      roundTripMs: t.pair ? t.pair.currentRoundTripTime * 1000 : null,
    },
    errors,
  };
  if (options.joins > 0) result.joins = { ms: joins, ...quantiles(joins) };
  judge(result);
  return result;
}

function judge(result) {
  const frames = result.video?.framesDecoded ?? 0;
  if (frames < options.minFrames)
    result.failures.push(`${frames} frames decoded, fewer than ${options.minFrames}`);
  const missed = joins.filter((ms) => ms === null).length;
  if (missed > 0)
    result.failures.push(`${missed} of ${joins.length} joins had no picture within ${FIRST_FRAME_MS} ms`);
  // A refused request is a console error too, and what some tests want to see: listed, but no failure.
  for (const { kind, text } of errors) {
    if (kind !== "console") result.failures.push(`${kind}: ${text}`);
  }
  result.ok = result.failures.length === 0;
}

function codecAndDelay({ codec, jitterBufferDelay, jitterBufferEmittedCount }) {
  return {
    mimeType: codec?.mimeType ?? null,
    fmtp: codec?.sdpFmtpLine ?? null,
    jitterBufferMs:
      jitterBufferEmittedCount > 0 ? (jitterBufferDelay * 1000) / jitterBufferEmittedCount : null,
  };
}

// Members that the browser leaves out until there is something to say become null.
function pick(from, names) {
  return Object.fromEntries(names.map((name) => [name, from[name] ?? null]));
}

// Nearest rank; a join without a picture counts as longer than all others.
function quantiles(all) {
  const sorted = all.map((ms) => ms ?? Infinity).sort((a, b) => a - b);
  const at = (part) => {
    const ms = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
    return Number.isFinite(ms) ? ms : null;
  };
  return { p50: at(0.5), p95: at(0.95), max: at(1) };
}

function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function giveUp() {
  print({ ok: false, failures: [`gave up after ${options.timeout} s`], url: options.url, errors });
  process.exit(1);
}

// Puppeteer starts Chromium as the leader of a process group of its own.
function cleanUp() {
  const pid = browser?.process()?.pid;
  try {
    if (pid) process.kill(-pid, "SIGKILL");
  } catch {
    // It is gone already.
  }
  rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
