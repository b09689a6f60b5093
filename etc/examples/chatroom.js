// The page of chatroom.toml: a room, who is in it, and what they say.

import { addRow, clock, get, make, onSay, showState } from "./page.js";
import { badge, forgetAll, hasGone, isMe, isNew, named } from "./people.js";
import { keepConnected, server } from "./reconnect.js";

const PORT = 7701;
const HERE_WITHIN_MS = 1000;

let socket = null;
let isOpen = false;
let lostAt = 0;
let me = ""; // our session
let unheard = []; // what we said and did not hear yet
let hereTimer = 0;

// --- the door

get("name").value = sessionStorage.getItem("name") || "";
get("room").value = new URLSearchParams(location.search).get("room") || "lobby";
get("room").addEventListener("input", checkRoom);
get("leave").addEventListener("click", leave);
addEventListener("popstate", () => location.reload());
checkRoom();
if (get("name").value && location.search && get("door").checkValidity()) enter();

get("door").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("name", get("name").value);
  const search = `?${new URLSearchParams({ room: get("room").value })}`;
  if (search !== location.search) history.pushState(null, "", search);
  enter();
});

// No browser can ask for these: it takes them for the folder itself and the one above.
function checkRoom() {
  const isFolder = [".", ".."].includes(get("room").value);
  get("room").setCustomValidity(isFolder ? "A room can't be called so; choose another name." : "");
}

function enter() {
  const [name, room] = [get("name").value, get("room").value];
  document.title = get("title").textContent = room;
  get("door").hidden = true;
  get("inside").hidden = false;
  get("messages").replaceChildren();
  const url = `${server(PORT)}/room/${encodeURIComponent(room)}?name=${encodeURIComponent(name)}`;
  socket = keepConnected(url, { onMessage: hear, onState: change });
  get("text").focus();
}

function leave() {
  socket.stop();
  change({ open: false, words: "" });
  lostAt = 0;
  history.pushState(null, "", location.pathname);
  document.title = "Chatroom";
  get("inside").hidden = true;
  get("door").hidden = false;
}

function change(state) {
  showState(state);
  if (state.open === isOpen) return;
  isOpen = state.open;
  if (isOpen) {
    if (lostAt) tell(`You were away for ${Math.ceil((Date.now() - lostAt) / 1000)} s; what was said meanwhile is not here.`);
    return;
  }
  lostAt = Date.now();
  clearTimeout(hereTimer);
  hereTimer = 0;
  forgetAll();
  for (const text of unheard) tell("Perhaps nobody heard: ", text);
  unheard = [];
}

// --- what we say: a binary frame, {"event_id":"chat","payload":"{\"message\":\"hi\"}"}

function send(event, payload) {
  const frame = JSON.stringify({ event_id: event, payload: JSON.stringify(payload) });
  return socket.send(new TextEncoder().encode(frame));
}

onSay((message) => {
  const isSent = send("chat", { message });
  if (isSent) unheard.push(message);
  return isSent;
});

// Somebody has come. One answer is enough for all who come within a second.
function sayHereSoon() {
  if (hereTimer) return;
  hereTimer = setTimeout(() => {
    hereTimer = 0;
    send("here", {});
  }, Math.random() * HERE_WITHIN_MS);
}

// --- what we hear

function hear(frame) {
  const { event_id: event, payload } = JSON.parse(new TextDecoder().decode(frame));
  EVENTS[event]?.(JSON.parse(payload));
}

const EVENTS = {
  welcome({ session }) {
    me = session;
    isMe(me);
  },

  presence({ event, session, who }) {
    if (event === "@disconnect") {
      if (hasGone(session)) tell(named(who), " left");
    } else {
      if (isNew(session, who)) tell(named(who), " came");
      if (session !== me) sayHereSoon();
    }
  },

  here({ session, who }) {
    isNew(session, who);
  },

  chat({ message, sender, session, timestamp }) {
    isNew(session, sender);
    if (session === me) unheard.shift();
    const text = make("p", "", typeof message === "string" ? message : JSON.stringify(message));
    text.dir = "auto";
    const row = make("li", session === me ? "mine" : "", badge(session, sender), named(sender), clock(timestamp), text);
    addRow(row);
  },
};

function tell(...words) {
  addRow(make("li", "told", ...words));
}
