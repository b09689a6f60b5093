// Keeps the status page new: fetches it again and puts in what has changed, letter by letter, so
// that a selection, the focus and the place on the page stay as they are. The page itself is
// rendered by routerd.
"use strict";

const FASTEST = 2000; // milliseconds between two looks
const PATIENCE = 20; // times as long as a look takes, when it takes long
const SILENCE = "has not answered";

const filter = document.getElementById("filter");
const shown = document.getElementById("shown");
const away = document.getElementById("away");
let awaySince = null;

function show() {
  const wanted = filter.value.trim().toLowerCase();
  const routes = document.getElementById("routes").tBodies;
  let count = 0;
  for (const route of routes) {
    const fits = route.textContent.toLowerCase().includes(wanted);
    if (route.hidden === fits) route.hidden = !fits;
    count += fits;
  }
  const said = wanted === "" ? "" : `${count} of ${routes.length}`;
  if (shown.value !== said) shown.value = said;
}

// Makes `old` what `fresh` is, and keeps each node of it that can be kept.
function renew(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName) {
    old.replaceWith(document.adoptNode(fresh));
  } else if (old.nodeType === Node.TEXT_NODE) {
    old.data = fresh.data;
  } else {
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const [were, are] = [[...old.childNodes], [...fresh.childNodes]];
    are.forEach((child, place) => {
      if (place < were.length) renew(were[place], child);
      else old.append(document.adoptNode(child));
    });
    for (const gone of were.slice(are.length)) gone.remove();
  }
}

function renewRoutes(page) {
  const table = document.getElementById("routes");
  const known = new Map([...table.tBodies].map((route) => [route.id, route]));
  let place = table.tHead.nextElementSibling;
  for (const fresh of [...page.getElementById("routes").tBodies]) {
    const old = known.get(fresh.id);
    known.delete(fresh.id);
    fresh.hidden = old?.hidden ?? false; // the filter's doing, not the page's
    if (old) renew(old, fresh);
    const route = old ?? document.adoptNode(fresh);
    if (place === route) place = route.nextElementSibling;
    else table.insertBefore(route, place);
  }
  for (const gone of known.values()) gone.remove();
  show();
}

// Shows what was fetched; false if it is something else, as from a proxy.
function take(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const version = page.documentElement.dataset.version;
  if (version === undefined) return false;
  if (version !== document.documentElement.dataset.version) {
    location.reload(); // another routerd may come with another script
    return true;
  }
  document.title = page.title;
  for (const id of ["verdict", "facts", "connections", "edge"]) {
    renew(document.getElementById(id), page.getElementById(id));
  }
  renewRoutes(page);
  return true;
}

function tell(trouble) {
  awaySince = trouble === "" ? null : awaySince ?? new Date().toLocaleTimeString();
  const said = awaySince === null ? "" : `routerd ${trouble} since ${awaySince}; what stands below ` +
    "is from before. It is asked again every few seconds.";
  if (away.textContent !== said) away.textContent = said;
  away.hidden = awaySince === null;
  document.body.classList.toggle("old", awaySince !== null);
}

async function look() {
  const start = performance.now();
  let trouble = SILENCE;
  try {
    const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    const html = await answer.text();
    trouble = `has answered ${answer.status} instead of this page`;
    if (answer.ok && take(html)) trouble = "";
  } catch (error) {
    if (trouble !== SILENCE) console.error(error);
  }
  tell(trouble);
  return Math.max(FASTEST, PATIENCE * (performance.now() - start));
}

async function keepLooking() {
  let pause = FASTEST;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (document.hidden) {
      await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    }
    pause = await look();
  }
}

document.getElementById("search").hidden = false;
filter.addEventListener("input", show);
keepLooking();
