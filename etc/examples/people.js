// Who is in a room. The server says who comes and who goes, and vouches for every name; who was
// there before is learnt from the others, who say `here`.

import { get, make } from "./page.js";

const LONGEST_NAME = 40;
const REMEMBERED = 1000;

const here = new Map(); // session -> name
const gone = new Set(); // sessions; what they said may still come

export function forgetAll() {
  here.clear();
  gone.clear();
  show();
}

// True: this one is new here.
export function isNew(session, who) {
  if (here.has(session) || gone.has(session)) return false;
  here.set(session, who);
  show();
  return true;
}

// True: this one was here.
export function hasGone(session) {
  gone.add(session);
  if (gone.size > REMEMBERED) gone.delete(gone.values().next().value);
  const wasHere = here.delete(session);
  show();
  return wasHere;
}

// Whose list it is.
export function isMe(session) {
  get("people").dataset.me = session;
  show();
}

// A name apart from the text around it, whichever way it is written.
export function named(who) {
  const letters = [...(typeof who === "string" && who.trim() ? who.trim() : "nameless")];
  const isLong = letters.length > LONGEST_NAME;
  return make("bdi", "who", isLong ? `${letters.slice(0, LONGEST_NAME).join("")}…` : letters.join(""));
}

// The same colour for all that one session says.
export function badge(session, who) {
  const made = make("span", "badge", [...named(who).textContent][0].toUpperCase());
  const number = [...String(session)].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  made.style.setProperty("--hue", number);
  made.ariaHidden = "true";
  return made;
}

function show() {
  const { me } = get("people").dataset;
  const sorted = [...here].sort(([a, first], [b, second]) =>
    (b === me) - (a === me) || String(first).localeCompare(String(second)));
  get("people").replaceChildren(...sorted.map(([session, who]) =>
    make("li", "", badge(session, who), named(who), session === me ? make("span", "soft", "you") : "")));
  get("count").textContent = here.size || "";
}
