// The demo's page. What comes from data is put in as text, never as HTML.
"use strict";

const get = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};
const shown = (number) => number.toLocaleString("en").replaceAll(",", "\u202f");
const counted = (number, what) => `${shown(number)} ${what}${number === 1 ? "" : "s"}`;

// --- what is so, asked every second

const POLL_MS = 1000;

async function poll() {
  try {
    show(await (await fetch("facts.json")).json());
  } catch {
    tell("The demo does not answer. It may have ended; see its terminal.", "bad");
  }
  setTimeout(poll, POLL_MS);
}

function tell(story, mood) {
  const banner = get("story");
  if (banner.textContent !== story) banner.textContent = story;
  banner.className = mood;
}

function show(facts) {
  const { telemetry, worst } = judge(facts);
  tell(facts.story, facts.lost ? "bad" : worst ? "wait" : "");
  const figures = {
    published: facts.published, kept: facts.kept, confirmed: facts.confirmed,
    "in-kafka": facts.in_kafka, "under-way": facts.under_way, lost: facts.lost,
    duplicates: facts.duplicates,
    inflight: telemetry.inflight, "inflight-limit": telemetry.inflight_limit,
  };
  for (const [id, number] of Object.entries(figures)) get(id).textContent = shown(number);
  get("lost-box").className = facts.lost ? "bad" : "";
  get("window").max = telemetry.inflight_limit;
  get("window").high = 0.9 * telemetry.inflight_limit;
  get("window").value = telemetry.inflight;
  get("status-page").href = facts.status_page;
  showBroker("mqtt", facts.mqtt, "MQTT");
  showBroker("kafka", facts.kafka, "Kafka");
  get("fall").disabled = !facts.mqtt;
  showState(get("routerd-state"), worst ? worst.state : "running");
  get("topics").replaceChildren(...facts.topics.map(topicBox));
  get("routes").replaceChildren(...facts.routes.map(routeRow));
}

function judge(facts) {
  const idle = { inflight: 0, inflight_limit: 100 };
  const telemetry = facts.routes.find((route) => route.name === "telemetry") || idle;
  const fallen = facts.routes.find((route) => route.state !== "running");
  const waiting = !facts.kafka || !facts.mqtt || facts.routes.length === 0;
  return { telemetry, worst: fallen || (waiting ? { state: "running" } : null) };
}

const STATES = {
  starting: ["… starting", "wait"], running: ["● running", "good"], backoff: ["↻ tries again", "wait"],
  failed: ["✕ failed", "bad"], stopped: ["○ stopped", "wait"],
};

function showState(element, state) {
  const [words, mood] = STATES[state];
  element.textContent = words;
  element.className = `state ${mood}`;
}

function showBroker(id, isUp, name) {
  const state = get(`${id}-state`);
  state.textContent = isUp ? "● up" : "✕ away";
  state.className = isUp ? "state good" : "state bad";
  const button = get(id);
  button.textContent = isUp ? `Stop ${name}` : `Start ${name}`;
  button.className = isUp ? "" : "back";
  button.dataset.action = isUp ? `stop-${id}` : `start-${id}`;
}

function topicBox(topic) {
  const box = make("div", "topic");
  const head = make("h3");
  head.append(make("code", "", topic.name), ` ${counted(topic.count, "record")}`);
  const list = make("ol", "records");
  list.dataset.topic = topic.name;
  list.append(...topic.newest.slice(0, topic.name === "chat" ? 4 : 8).map(recordRow));
  if (!topic.count) list.append(make("li", "none", "nothing yet"));
  box.append(head, list);
  return box;
}

function recordRow(record) {
  const row = make("li");
  const place = make("span", "place", `${record.partition}:${record.offset}`);
  place.title = "partition : offset";
  const value = make("span", "value", record.value);
  value.title = record.value;
  row.append(place, make("span", "key", record.key), value);
  return row;
}

function routeRow(route) {
  const row = make("li");
  row.dataset.route = route.name;
  const head = make("div");
  const state = make("span");
  showState(state, route.state);
  head.append(make("b", "", route.name), " ", state);
  const restarts = make("span", "restarts", String(route.restarts));
  const counts = make("span", "small");
  counts.append(` ${shown(route.inflight)} in flight, restarted `, restarts, route.restarts === 1 ? " time" : " times");
  head.append(counts);
  row.append(head, make("div", "what", `${route.source} →\u00a0${route.sinks.join(", ")}`));
  for (const why of reasons(route)) row.append(make("div", "why", why));
  return row;
}

function reasons(route) {
  const found = [];
  if (route.reason) found.push(route.reason);
  if (route.next_try_seconds !== null) {
    found.push(`tries again in ${Math.ceil(route.next_try_seconds)} s; the pause grows with each failure in a row`);
  }
  if (route.waits_for) found.push(`waits for ${route.waits_for}`);
  return found;
}

// --- buttons

async function act(action) {
  const answer = await fetch("act", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ action }),
  });
  if (answer.ok) show(await answer.json());
}

for (const id of ["mqtt", "kafka"]) get(id).addEventListener("click", () => act(get(id).dataset.action));
get("fall").addEventListener("click", () => act("fall"));

// --- WebSockets that come back by themselves

const planned = fetch("plan.json").then((answer) => answer.json());

function listen(path, { onMessage, onState = () => {} }) {
  let socket, timer, isWanted = true;
  const open = async () => {
    const { websocket } = await planned;
    if (!isWanted) return;
    socket = new WebSocket(`ws://${websocket}${path}`);
    socket.onopen = () => onState(true);
    socket.onmessage = (event) => onMessage(event.data);
    socket.onclose = () => {
      onState(false);
      if (isWanted) timer = setTimeout(open, 1000 + 1000 * Math.random());
    };
  };
  open();
  return {
    send: (text) => socket.send(text),
    close: () => { isWanted = false; clearTimeout(timer); socket?.close(); },
  };
}

const parsed = (text) => {
  try { return JSON.parse(text); } catch { return null; }
};

// --- the map

const SVG = "http://www.w3.org/2000/svg";
const GLIDE_MS = 600;  // a little longer than between two positions, so that nothing stops
const FRAME_MS = 33;
const STALE_MS = 2500;
const LEAP = 80;
const map = get("map");
const buses = new Map();
let lines = [];
let followed = null;
let heardAt = 0;

const draw = (tag, attributes) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

async function openMap() {
  const plan = await planned;
  lines = plan.lines.map((line) => line.name);
  plan.lines.forEach((line, index) => {
    get("streets").append(draw("polyline", { points: line.points.join(" "), class: `line-${index}` }));
  });
  listen("/live", { onMessage: (data) => moved(parsed(data)) });
  requestAnimationFrame(frame);
}

function moved(position) {
  if (!position || !Number.isFinite(position.x) || !Number.isFinite(position.y)) return;
  const now = performance.now();
  const bus = buses.get(position.bus) || newBus(position);
  const place = placeOf(bus, now);
  const leaps = Math.hypot(position.x - place.x, position.y - place.y) > LEAP;
  bus.from = leaps ? position : place;
  bus.to = position;
  bus.since = heardAt = now;
  bus.pointer.setAttribute("transform", `rotate(${Number(position.bearing) || 0})`);
}

function newBus(position) {
  const index = Math.max(0, lines.indexOf(position.line));
  const group = draw("g", { class: `bus line-${index}`, tabindex: 0, role: "button" });
  group.dataset.bus = position.bus;
  const pointer = draw("path", { d: "M0 -23 L8 -9 L-8 -9 Z" });
  const label = draw("text", {});
  label.textContent = position.line;
  const title = draw("title", {});
  title.textContent = `${position.bus}, line ${position.line}`;
  group.append(title, pointer, draw("circle", { r: 12 }), label);
  group.addEventListener("click", () => follow(position.bus));
  group.addEventListener("keydown", (event) => { if (event.key === "Enter") follow(position.bus); });
  get("buses").append(group);
  const bus = { group, pointer, from: position, to: position, since: 0 };
  buses.set(position.bus, bus);
  return bus;
}

function placeOf(bus, now) {
  const share = Math.min(1, (now - bus.since) / GLIDE_MS);
  return {
    x: bus.from.x + (bus.to.x - bus.from.x) * share,
    y: bus.from.y + (bus.to.y - bus.from.y) * share,
  };
}

let drawnAt = 0;
function frame(now) {
  requestAnimationFrame(frame);
  if (now - drawnAt < FRAME_MS) return;
  drawnAt = now;
  const size = Math.min(2, Math.max(1, 620 / map.clientWidth));  // readable on a phone, too
  for (const bus of buses.values()) {
    const { x, y } = placeOf(bus, now);
    bus.group.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${size.toFixed(2)})`);
  }
  map.classList.toggle("stale", now - heardAt > STALE_MS);
}

function follow(name) {
  if (followed) {
    followed.socket.close();
    buses.get(followed.name).group.classList.remove("chosen");
  }
  buses.get(name).group.classList.add("chosen");
  const path = `/live/${encodeURIComponent(name)}`;
  let count = 0;
  get("follow").replaceChildren("Following ", make("b", "", name), " on ", make("code", "", `ws:${path}`), " …");
  const line = get("followed");
  line.hidden = false;
  line.firstChild.textContent = "";
  const onMessage = (data) => {
    count += 1;
    get("follow").lastChild.textContent = `: ${counted(count, "message")}, the bytes that the bus sent, by the route that waits for Kafka.`;
    line.firstChild.textContent = String(data);
  };
  followed = { name, socket: listen(path, { onMessage }) };
}

// --- chat

const KEPT_MESSAGES = 200;
const room = new URLSearchParams(location.search).get("room") || "lobby";
const nameField = get("name");
const textField = get("text");
nameField.value = sessionStorage.getItem("name") || `guest ${Math.floor(10 + Math.random() * 90)}`;
get("room").textContent = room;
get("again").href = `?room=${encodeURIComponent(room)}`;

const chat = listen(`/chat/${encodeURIComponent(room)}`, {
  onMessage: (data) => heard(typeof data === "string" ? data : `${data.size} bytes that are no text`),
  onState: (isOpen) => {
    get("chat-state").textContent = isOpen ? "● connected" : "↻ connecting";
    get("chat-state").className = isOpen ? "state good" : "state wait";
    get("chat").querySelector("button").disabled = !isOpen;
  },
});

function heard(data) {
  const said = parsed(data);
  const isOurs = said !== null && typeof said === "object" && typeof said.text === "string";
  const name = isOurs ? String(said.name || "somebody") : "";
  const row = make("li", name && name === nameField.value ? "mine" : "");
  row.append(make("time", "", new Date().toLocaleTimeString("en-GB")));
  if (name) row.append(make("b", "", name));
  row.append(make("span", "said", isOurs ? said.text : data));
  const list = get("messages");
  list.append(row);
  while (list.children.length > KEPT_MESSAGES) list.firstChild.remove();
  list.scrollTop = list.scrollHeight;
}

get("chat").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("name", nameField.value);
  chat.send(JSON.stringify({ name: nameField.value, text: textField.value }));
  textField.value = "";
});

openMap();
poll();
