// Publishes to routerd and knows what became of it: docs/websocket-clients.md. For browsers and
// Node.js 22; frames are text, as with codec "raw" and "kratos-text".
//
// What has no answer when the connection breaks is sent again on the next one, and so is what may
// be tried again: each message comes at least once, and now and then twice.

export class AckClient {
  #url; #onMessage; #socket; #isClosed = false; #last = 0;
  #waiting = new Map(); // id -> frame, resolve, reject; in the order of publishing

  constructor(url, onMessage = () => {}) {
    this.#url = url;
    this.#onMessage = onMessage;
    this.#connect(500);
  }

  publish(frame) { // resolves once it is confirmed everywhere; rejects if it never will be
    const id = String(++this.#last);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { frame, resolve, reject });
      this.#send(id);
    });
  }

  close() {
    this.#isClosed = true;
    this.#socket.close();
    for (const { reject } of this.#waiting.values()) reject(new Error("closed without an answer"));
  }

  #connect(pause) {
    const socket = this.#socket = new WebSocket(this.#url, "routerd.ack.v1");
    socket.onopen = () => { pause = 500; for (const id of this.#waiting.keys()) this.#send(id); };
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = () => { // again, later each time, and never all clients at once
      const next = () => this.#isClosed || this.#connect(Math.min(2 * pause, 30000));
      setTimeout(next, pause * (0.5 + Math.random()));
    };
  }

  #send(id) {
    const one = this.#waiting.get(id);
    if (one && this.#socket.readyState === WebSocket.OPEN) this.#socket.send(`pub ${id} ${one.frame}`);
  }

  #hear(data) {
    const [word, id, verdict] = data.split(" ", 3);
    if (word === "msg") return this.#onMessage(data.slice("msg ".length));
    if (verdict === "retry") return setTimeout(() => this.#send(id), 1000);
    const one = this.#waiting.get(id); // none: it was sent twice, and has its answer
    this.#waiting.delete(id);
    if (word === "ack") one?.resolve();
    else one?.reject(new Error(data));
  }
}
