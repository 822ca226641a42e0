// Numbers as people read them. What is not known is a dash.

const NONE = "–";

function scaled(value, units) {
  let power = 0;
  while (value >= 999.5 && power < units.length - 1) [value, power] = [value / 1000, power + 1];
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toPrecision(3)} ${units[power]}`;
}

// "4.21 Mb/s".
export function bitrate(bps) {
  return Number.isFinite(bps) ? scaled(bps, ["b/s", "kb/s", "Mb/s", "Gb/s"]) : NONE;
}

// "12", "1.24 k".
export function number(value) {
  return Number.isFinite(value) ? scaled(value, ["", "k", "M", "G"]).trim() : NONE;
}

// Of 0 to 1: "0.31 %".
export function percent(ratio) {
  if (!Number.isFinite(ratio)) return NONE;
  const value = ratio * 100;
  return `${value === 0 || value >= 9.95 ? Math.round(value) : value.toPrecision(2)} %`;
}

// "0.42 ms", "31 ms", "2.1 s".
export function milliseconds(ms) {
  if (!Number.isFinite(ms)) return NONE;
  if (ms >= 1000) return `${(ms / 1000).toPrecision(2)} s`;
  return `${ms >= 9.95 ? Math.round(ms) : ms.toPrecision(2)} ms`;
}

// What a browser calls itself, in two words: "Chrome 141, Linux".
export function client(agent) {
  const program =
    /(Firefox|Edg|OPR|Chrome|Version)\/(\d+)/.exec(agent.replace(/Chrome(?=.*(Edg|OPR)\/)/, "")) ?? null;
  if (!agent.startsWith("Mozilla/") || !program) return agent || NONE;
  const names = { Edg: "Edge", OPR: "Opera", Version: "Safari" };
  const system = /Windows|Android|iPhone|iPad|Mac OS X|CrOS|Linux/.exec(agent)?.[0] ?? "";
  return `${names[program[1]] ?? program[1]} ${program[2]}${system ? `, ${system}` : ""}`;
}
