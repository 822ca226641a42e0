// The picture that a video shows, as a PNG of its own size.

// "gate 2026-11-26 14.05.09.png": sorts by time, and is a file name everywhere.
export function snapshotName(name, date = new Date()) {
  const two = (number) => String(number).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(".");
  return `${name.replace(/[\\/:*?"<>|\p{Cc}]+/gu, "_")} ${day} ${time}.png`;
}

// Saves it as a download; false when there is no picture yet.
export async function saveSnapshot(video, name) {
  const { videoWidth: width, videoHeight: height } = video;
  if (!width) return false;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d", { alpha: false }).drawImage(video, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (!blob) return false;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = snapshotName(name);
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  return true;
}
