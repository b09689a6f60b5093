// The page of chat.toml: everybody hears everybody.

import { addRow, clock, make, onSay, showState } from "./page.js";
import { keepConnected, server } from "./reconnect.js";

const PORT = 8800;
const CHAT = 1;

const socket = keepConnected(`${server(PORT)}/ws`, { onMessage: hear, onState: showState });
onSay((message) => socket.send(pack(CHAT, { type: CHAT, message })));

// A frame is the type as four bytes, little-endian, and then JSON.
function pack(type, payload) {
  const json = new TextEncoder().encode(JSON.stringify(payload));
  const frame = new Uint8Array(4 + json.length);
  new DataView(frame.buffer).setUint32(0, type, true);
  frame.set(json, 4);
  return frame;
}

function unpack(frame) {
  const type = new DataView(frame).getUint32(0, true);
  return { type, payload: JSON.parse(new TextDecoder().decode(new Uint8Array(frame, 4))) };
}

function hear(frame) {
  const { type, payload } = unpack(frame);
  if (type !== CHAT || typeof payload?.message !== "string") return; // not from this page
  const text = make("p", "", payload.message);
  text.dir = "auto";
  addRow(make("li", "", text, clock()));
}
