// The page: its screens, and a visit from the first screen to the last.

import { ApiError, Session, call, errorText, token } from "./api.js";
import { flipCamera, hasCamera, isMirrored, mirror, shoot, startCamera, stopCamera, wait } from "./camera.js";
import { Editor } from "./editor.js";
import { Idle } from "./idle.js";
import { offerLanguages } from "./languages.js";
import { Saving } from "./saving.js";
import { firstLanguage, speak, t } from "./words.js";

const $ = (id) => document.getElementById(id);
const WIPED = 4001, MOVED = 4002, UNKNOWN = 4004; // close codes of the WebSocket
const TOAST_SECONDS = 5;
const GONE_SECONDS = 60; // of why a visit ended, or until the next touch: its visitor may look elsewhere
const AGAIN = 1000; // milliseconds until a station that did not answer is asked again
const AT_ONCE = 300; // milliseconds, in which nobody cancels a dialog
const STAFF_SECONDS = 4; // of holding the title, until the staff page opens
const works = { camera: true, files: true }; // until the browser refuses one
let session = null;
let toasting = 0;
let looking = 0;

function show(screen) {
  for (const element of document.querySelectorAll(".screen")) element.hidden = element.id !== screen;
  if (screen === "attract") showReviewNote();
}

/** Say on the first screen whether staff may look at failed edits, and whether the station is there at all. */
async function showReviewNote() {
  clearTimeout(looking);
  const about = await call("GET", "api/about").then((answer) => answer.json(), () => null);
  lost(!about);
  if (about) $("kept-note").hidden = !about.pixels_kept;
  else if (!$("attract").hidden) looking = setTimeout(showReviewNote, AGAIN);
  return about;
}

/** Say that the station does not answer, until it does. */
function lost(whether) {
  $("link").dataset.word = "error_offline";
  $("link").textContent = t("error_offline");
  $("link").hidden = !whether;
}

function toast(text, seconds = TOAST_SECONDS) {
  clearTimeout(toasting);
  $("toast").textContent = text;
  $("toast").hidden = false;
  toasting = setTimeout(() => ($("toast").hidden = true), seconds * 1000);
}

function explain(error) {
  console.error(error);
  toast(errorText(error, { 401: "error_token", 413: "error_large", 415: "error_type", 422: "error_unusable" }));
}

/** Open a photo in the visitor's session, a new one where there is none. */
async function openPhoto(file) {
  if (!file) return;
  if (file.type && !file.type.startsWith("image/")) return toast(t("error_type"));
  $("toast").hidden = true;
  $("uploaded").value = 0;
  $("opening").showModal();
  try {
    session ??= await Session.begin();
    const state = await session.openPhoto(file, (share) => {
      if (share < 1) $("uploaded").value = share;
      else $("uploaded").removeAttribute("value"); // sent; how long it takes to open is not known
    });
    sessionStorage.setItem("type", file.type);
    await enter(state);
    if (state.warnings.length) toast(t(`warning_${state.warnings[0].code}`));
  } catch (error) {
    explain(error);
  } finally {
    $("opening").close();
  }
}

async function enter(state) {
  sessionStorage.setItem("session", session.name);
  show("edit");
  if (await editor.open(session, state)) toast(t("pull_lost"));
  const about = await showReviewNote();
  if (about) sessionStorage.setItem("started", about.started);
  saving.begin(sessionStorage.getItem("type"), state, about?.shares);
  idle.watch(state.idle_seconds);
}

/** Back to the first screen; the station wipes the session, if it has not yet. */
async function leave(why) {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  saving.wipePaper();
  idle.watch(null);
  stopCamera();
  editor.leave();
  const ending = session;
  session = null;
  sessionStorage.removeItem("session");
  for (const input of [$("file"), $("capture")]) input.value = "";
  show("attract");
  $("take").focus();
  if (why) {
    toast(t(why), GONE_SECONDS);
    addEventListener("pointerdown", () => ($("toast").hidden = true), { once: true });
  }
  await ending?.end().catch(() => {});
}

/** The connection was closed: for good, or to be opened again. */
async function closed(code) {
  if (!session) return;
  if (code === WIPED) return leave("wiped");
  if (code === UNKNOWN) return leave(await whyUnknown());
  if (code === MOVED) {
    session = null; // it goes on in another window
    return leave("moved");
  }
  lost(true);
  await new Promise((resolve) => setTimeout(resolve, AGAIN));
  if (session) await resume(session.name);
}

/** Why the station does not know a session: it was restarted, or wiped it meanwhile. */
async function whyUnknown() {
  const { started } = (await showReviewNote()) ?? {};
  return String(started) === sessionStorage.getItem("started") ? "wiped" : "restarted";
}

/** Go on with a session after a reload or a lost connection. */
async function resume(name) {
  try {
    session = new Session(name);
    const state = await session.look();
    if (!state.width) throw new ApiError(404, "no photo");
    await enter(state);
    lost(false);
  } catch (error) {
    if (error.status === 0 || error.status === 503) return void closed(0); // which tries again, without an end
    session = null;
    leave(error.status === 404 ? await whyUnknown() : null);
  }
}

async function takePhoto() {
  if (!hasCamera()) return ask($("capture"), "camera");
  try {
    await startCamera();
    works.camera = true;
    show("camera");
    const { idle_seconds } = (await showReviewNote()) ?? {};
    idle.watch(idle_seconds ?? null);
  } catch {
    refused("camera");
  }
}

/** Say that the browser does not give the camera or does not open files, and what remains. */
function refused(...what) {
  for (const each of what) works[each] = false;
  toast(t(works.camera ? "error_no_files" : works.files ? "error_camera" : "error_only_samples"));
}

const saving = new Saving(() => session, toast, explain);
const idle = new Idle(() => leave(session ? "wiped" : null), () => editor.live?.send("touch"));

/** Ask for a file. Where the browser's rules switch its dialog off, which a kiosk's do, it is cancelled at once, and
 *  `more` does not work either. */
function ask(input, ...more) {
  const asked = performance.now();
  input.oncancel = () => performance.now() - asked < AT_ONCE && refused("files", ...more);
  input.click();
}

$("open").addEventListener("click", () => ask($("file")));
$("take").addEventListener("click", takePhoto);
for (const input of [$("file"), $("capture")]) input.addEventListener("change", () => openPhoto(input.files[0]));
$("mirror").addEventListener("click", () => mirror(!isMirrored()));
$("timer").addEventListener("click", () => $("timer").setAttribute("aria-pressed", $("timer").getAttribute("aria-pressed") !== "true"));
$("flip").addEventListener("click", () => flipCamera().catch(() => refused("camera")));
$("shutter").addEventListener("click", async () => {
  await wait();
  const file = await shoot();
  stopCamera();
  idle.watch(null);
  show("attract");
  openPhoto(file);
});
$("camera-back").addEventListener("click", () => {
  stopCamera();
  idle.watch(null);
  show("attract");
});
$("leave").addEventListener("click", async () => (await saving.mayEnd()) && leave());
for (const sample of document.querySelectorAll(".sample")) {
  sample.addEventListener("click", async () => openPhoto(await (await fetch(sample.value)).blob()));
}
offerLanguages(() => {
  $("toast").hidden = true; // in the language before
  if (session) editor.refresh();
});

let holding = 0;
$("title").addEventListener("pointerdown", () => (holding = setTimeout(() => location.assign("staff"), STAFF_SECONDS * 1000)));
for (const name of ["pointerup", "pointercancel", "pointerleave"]) $("title").addEventListener(name, () => clearTimeout(holding));

if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
  const demo = document.querySelector(".demo");
  demo.pauseAnimations();
  demo.setCurrentTime(2.6); // pulled
}
await speak(firstLanguage());
token();
showReviewNote();
const editor = new Editor({ toast, lost, closed, changed: () => (saving.unsaved = true) });
const earlier = sessionStorage.getItem("session");
navigator.serviceWorker?.register("sw.js").catch(() => {}); // not where the address is no secure one
if (earlier) await resume(earlier);
performance.mark("interactive");
document.body.dataset.ready = "yes";
