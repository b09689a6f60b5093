// Keeps the status page new: fetches it again and puts in what has changed, so that a selection,
// the focus and the place on the page stay as they are. The page itself is rendered by routerd.
"use strict";

const FASTEST = 2000; // milliseconds between two looks
const PATIENCE = 20; // times as long as a look takes, when it takes long

const filter = document.getElementById("filter");
const away = document.getElementById("away");
let awaySince = null;

function show() {
  const wanted = filter.value.trim().toLowerCase();
  for (const route of document.querySelectorAll("#routes > tbody")) {
    route.hidden = wanted !== "" && !route.textContent.toLowerCase().includes(wanted);
  }
}

function replace(id, page) {
  const old = document.getElementById(id);
  const fresh = page.getElementById(id);
  if (old && fresh && !old.isEqualNode(fresh)) old.replaceWith(document.adoptNode(fresh));
}

function replaceRoutes(page) {
  const table = document.getElementById("routes");
  const known = new Map([...table.tBodies].map((route) => [route.id, route]));
  let place = table.tHead.nextElementSibling;
  for (const fresh of [...page.getElementById("routes").tBodies]) {
    let route = known.get(fresh.id);
    known.delete(fresh.id);
    if (route) route.hidden = false;
    if (!route || !route.isEqualNode(fresh)) {
      const old = route;
      route = document.adoptNode(fresh);
      if (old) {
        if (place === old) place = route;
        old.replaceWith(route);
      }
    }
    if (place === route) place = route.nextElementSibling;
    else table.insertBefore(route, place);
  }
  for (const gone of known.values()) gone.remove();
  show();
}

function take(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  if (page.documentElement.dataset.version !== document.documentElement.dataset.version) {
    location.reload(); // another routerd may come with another script
    return;
  }
  document.title = page.title;
  for (const id of ["verdict", "facts", "connections", "edge"]) replace(id, page);
  replaceRoutes(page);
}

function reached(isReached) {
  if (isReached) {
    awaySince = null;
  } else if (awaySince === null) {
    awaySince = new Date();
    away.textContent = `routerd does not answer since ${awaySince.toLocaleTimeString()}; ` +
      "what stands below is from before. It is asked again every few seconds.";
  }
  away.hidden = awaySince === null;
  document.body.classList.toggle("old", awaySince !== null);
}

async function look() {
  const start = performance.now();
  try {
    const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(answer.statusText);
    take(await answer.text());
    reached(true);
  } catch {
    reached(false);
  }
  return Math.max(FASTEST, PATIENCE * (performance.now() - start));
}

async function keepLooking() {
  for (;;) {
    const pause = await look();
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (document.hidden) {
      await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    }
  }
}

document.getElementById("search").hidden = false;
filter.addEventListener("input", show);
keepLooking();
