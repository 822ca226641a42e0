// What the address of a kiosk asks for, and what in it means nothing.

const CYCLE_MS = 20_000;
// Shorter, and a picture is hardly there before it goes.
const CYCLE_MIN_MS = 2_000;
// Browsers count timers in 31 bits; a longer one would end at once.
const CYCLE_MAX_MS = 86_400_000;
// More are too small to see, whatever the screen.
export const COLUMNS_MAX = 12;
const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const KNOWN = ["wall", "streams", "columns", "cycle", "token"];

// {streams, columns, cycle, doubts} of a query: `streams` are names, or patterns with a star, none for all of them;
// `columns` is 0 for as many as show most; `cycle` is in ms. `doubts` are sentences on what is not as it was written.
export function readAddress(query) {
  const doubts = [];
  const streams = (query.get("streams") ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);
  const columns = readColumns(query.get("columns"), doubts);
  const cycle = readCycle(query.get("cycle"), doubts);
  for (const name of new Set(query.keys()))
    if (!KNOWN.includes(name))
      doubts.push(`A wall has no setting "${name}": there are streams, columns and cycle.`);
  return { streams, columns, cycle, doubts };
}

function readColumns(text, doubts) {
  if (text === null) return 0;
  const number = /^\d+$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= COLUMNS_MAX) return number;
  doubts.push(
    `columns=${text} is not a number from 1 to ${COLUMNS_MAX}: there are as many columns as show the most streams.`,
  );
  return 0;
}

function readCycle(text, doubts) {
  if (text === null) return CYCLE_MS;
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const ms = number * UNITS_MS[unit];
  if (ms >= CYCLE_MIN_MS && ms <= CYCLE_MAX_MS) return ms;
  const why = number && !unit ? `has no unit, as ${number}s has` : "is not a time from 2s to 24h, as 20s or 5m";
  doubts.push(`cycle=${text} ${why}: pictures change every ${CYCLE_MS / 1_000} s.`);
  return CYCLE_MS;
}
