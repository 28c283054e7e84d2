// Lets the page start while the station is down, so that it can say so. The station's own answers are never stored.

const CACHE = "edgedrag-page";
const FILES = [
  "./", "static/manifest.webmanifest",
  "static/api.js",
  "static/area.js",
  "static/camera.js",
  "static/choices.js",
  "static/controls.js",
  "static/editor.js",
  "static/edits.js",
  "static/field.js",
  "static/gestures.js",
  "static/hold.js",
  "static/i18n/de.json",
  "static/i18n/en.json",
  "static/i18n/es.json",
  "static/i18n/fr.json",
  "static/i18n/ja.json",
  "static/i18n/zh.json",
  "static/icon.svg",
  "static/idle.js",
  "static/languages.css",
  "static/languages.js",
  "static/main.js",
  "static/overlay.js",
  "static/pace.js",
  "static/painting.js",
  "static/pulls.js",
  "static/samples/cat.jpg",
  "static/samples/coffee.jpg",
  "static/saving.js",
  "static/stage.js",
  "static/strokes.js",
  "static/studio.css",
  "static/verdict.js",
  "static/view.js",
  "static/warp.js",
  "static/words.js",
];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const path = event.request.url.slice(self.registration.scope.length).replace(/[?#].*/, "");
  if (event.request.method !== "GET" || !FILES.includes(path || "./")) return;
  event.respondWith(answer(path || "./", event.request));
});

/** The station's file, and where it does not answer the last one that it gave. */
async function answer(path, request) {
  try {
    const fresh = await fetch(request);
    if (fresh.ok) await (await caches.open(CACHE)).put(path, fresh.clone());
    return fresh;
  } catch {
    return (await caches.match(path)) ?? Response.error();
  }
}
