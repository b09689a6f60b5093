// A WebSocket that comes back by itself. What it lost meanwhile is lost: routerd keeps no history.

const RESTART = 1012;
const STAYED_MS = 5000; // a connection that lasted so long was a good one
const LONGEST_PAUSE = 15; // seconds

const REASONS = {
  1009: "a message was too big",
  1012: "the server restarts",
  4408: "this page read too slowly",
  4429: "this page sent too much",
};

// Connects to `url` until `stop` is called. Each message is given to `onMessage` as an ArrayBuffer
// or a string, and each change of the state to `onState`: `open`, and in words what is so.
export function keepConnected(url, { onMessage, onState }) {
  let socket = null;
  let tries = 0;
  let timer = 0;
  let opened = 0;

  function connect() {
    clearTimeout(timer);
    onState({ open: false, words: "connecting …" });
    socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      opened = Date.now();
      onState({ open: true, words: "connected" });
    };
    socket.onmessage = (event) => onMessage(event.data);
    socket.onclose = (event) => {
      if (opened && Date.now() - opened >= STAYED_MS) tries = 0;
      opened = 0;
      tries += 1;
      wait(Date.now() + 1000 * pause(event.code), REASONS[event.code] || "no connection");
    };
  }

  // By chance, so that those who were sent home together don't come back together.
  function pause(code) {
    const longest = Math.max(code === RESTART ? 5 : 0, 2 ** Math.min(tries, 10));
    return 0.2 + Math.random() * Math.min(longest, LONGEST_PAUSE);
  }

  function wait(until, reason) {
    const left = until - Date.now();
    if (left <= 0) return connect();
    onState({ open: false, words: `${reason}; again in ${Math.ceil(left / 1000)} s` });
    timer = setTimeout(wait, Math.min(left, 1000), until, reason);
  }

  function hurry() {
    if (socket.readyState === WebSocket.CLOSED) connect();
  }

  addEventListener("online", hurry);
  connect();

  return {
    // False: there is no connection, and nothing was sent.
    send(data) {
      if (socket.readyState !== WebSocket.OPEN) return false;
      socket.send(data);
      return true;
    },
    stop() {
      removeEventListener("online", hurry);
      clearTimeout(timer);
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
}

// Where routerd listens on the host that this page came from.
export function server(port) {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.hostname}:${port}`;
}
