// What both pages put on the screen. What others wrote is put in as text, never as HTML.

const KEPT_ROWS = 500;

export const get = (id) => document.getElementById(id);

export function make(tag, className, ...inside) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...inside); // a string becomes text
  return made;
}

export function showState({ open, words }) {
  get("state").textContent = words;
  get("state").className = open ? "open" : "";
  get("send").disabled = !open;
}

// When something was said; now, if the time is none.
export function clock(timestamp) {
  const said = new Date(timestamp);
  const when = Number.isNaN(said.getTime()) ? new Date() : said;
  const shown = make("time", "", when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  shown.dateTime = when.toISOString();
  shown.title = when.toLocaleString();
  return shown;
}

// Adds a row, and stays at the newest unless somebody has scrolled back to read.
export function addRow(row) {
  const list = get("messages");
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(row);
  while (list.children.length > KEPT_ROWS) list.firstChild.remove();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

// Calls `say` with what was typed, and empties the field if it is true that it was sent.
export function onSay(say) {
  get("say").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = get("text").value.trim();
    if (text && say(text)) get("text").value = "";
    get("text").focus();
  });
}
