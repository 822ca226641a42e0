// The start page is two: the wall, and with `?wall` in its address the kiosk.

const { start } = await (new URLSearchParams(location.search).has("wall")
  ? import("./kiosk.js")
  : import("./wall.js"));
start();
