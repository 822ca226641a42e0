// The class by which pages written for MediaMTX play a stream, over WhepPlayer, which stands before this in the file
// that is served (src/http/reader.rs). It has the names, options and events that such pages know:
//
//     const reader = new MediaMTXWebRTCReader({
//       url: "http://host:8889/cam1/whep",
//       user: "", pass: "", token: "",        // token goes before user and pass
//       onError: (words) => {},              // why there is no picture now; it goes on trying
//       onTrack: (event) => {},              // event.track, event.streams[0]
//       onDataChannel: (event) => {},        // never called: no stream here has data
//     });
//     reader.close();
//
// Differences: the time between attempts grows and is what the server says, and after 401 or 403 there is none, because
// the same credentials would be refused again.

class MediaMTXWebRTCReader {
  #player;
  #isClosed = false;

  constructor({ url, user, pass, token, onError, onTrack }) {
    this.#player = new WhepPlayer({ url, user, password: pass, token });
    this.#player.addEventListener("track", ({ detail }) => {
      const { track, stream, receiver, transceiver } = detail;
      onTrack?.({ track, streams: [stream], receiver, transceiver });
    });
    this.#player.addEventListener("state", ({ detail: { state, reason } }) => {
      if (reason) onError?.(words(state, reason));
    });
    // Whoever made it may still want to hold it before anything happens.
    queueMicrotask(() => this.#isClosed || this.#player.start());
  }

  close() {
    this.#isClosed = true;
    this.#player.stop();
  }
}

const KINDS = {
  network: "the server does not answer",
  ice: "no UDP path to the server",
  dtls: "the secure connection could not be made",
  lost: "the connection was lost",
  closed: "the server ended the session",
};

function words(state, { kind, status, detail, retryAt }) {
  const why = status === 404 ? "stream not found" : (detail ?? KINDS[kind] ?? `status ${status}`);
  if (state === "stopped") return why;
  const seconds = Math.max(1, Math.ceil((retryAt - performance.now()) / 1_000));
  return `${why}, retrying in ${seconds} s`;
}

globalThis.MediaMTXWebRTCReader = MediaMTXWebRTCReader;
