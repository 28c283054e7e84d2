// The staff page: limits, health, days, verdicts and times of the edits, failed edits to keep, settings.

import { ApiError, call, errorText } from "./api.js";
import { drawValues, drawVerdicts } from "./chart.js";
import { offerLanguages } from "./languages.js";
import { firstLanguage, language, reasonText, speak, t } from "./words.js";

const $ = (id) => document.getElementById(id);
const EVERY = 5000; // milliseconds
const DAYS_EVERY = 60_000; // milliseconds
const LONGEST = 300_000; // milliseconds without input until the page locks itself
const PATIENCE = 30; // answers "too many wrong codes" until the page gives up
let secret = sessionStorage.getItem("staff-code");
let daysDrawn = -Infinity; // when, performance.now()

/** A call; where this device gave many wrong codes, it is repeated while others of its calls wait. */
async function ask(method, path, body, tries = PATIENCE) {
  try {
    return await call(method, `api/staff/${path}`, { secret, ...(body && { body: JSON.stringify(body), type: "application/json" }) });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 429 || tries <= 1) throw error;
    $("refused").textContent = t("staff_wait");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return ask(method, path, body, tries - 1);
  }
}

function element(name, text, parent) {
  const made = document.createElement(name);
  made.textContent = text;
  parent?.append(made);
  return made;
}

function duration(seconds) {
  const hours = seconds / 3600;
  return hours >= 48 ? `${(hours / 24).toFixed(1)} d` : hours >= 1 ? `${hours.toFixed(1)} h` : `${Math.round(seconds / 60)} min`;
}

const share = (value) => (value === null ? "–" : `${Math.round(value * 100)}%`);

/** A limit's figure as people read it. */
function figure(name, value) {
  if (name === "bad_share") return share(value);
  return `${Math.round(value * 10) / 10}${{ edit_seconds: " s", disk_free_mb: " MB", memory_mb: " MB" }[name] ?? ""}`;
}

/** What is wrong now; "all is well" only where no limit is exceeded and no alarm is raised. */
function showLimits({ exceeded, drift }) {
  const well = !exceeded.length && !drift.alarm;
  $("state").textContent = t(well ? "staff_well" : "staff_not_well");
  $("state").dataset.well = well;
  $("exceeded").hidden = !exceeded.length;
  $("exceeded").replaceChildren();
  for (const { name, value, limit } of exceeded) {
    element("li", t(`staff_limit_${name}`, { value: figure(name, value), limit: figure(name, limit) }), $("exceeded"));
  }
}

/** A list of names and values. */
function showPairs(list, pairs) {
  list.replaceChildren();
  for (const [name, value] of pairs) {
    const pair = element("div", "", list);
    element("dt", name, pair);
    element("dd", value, pair);
  }
}

function showDay(day) {
  const date = new Date(`${day.date}T12:00`).toLocaleDateString(language, { weekday: "short", month: "short", day: "numeric" });
  const verdicts = ["good", "doubtful", "bad"].map((verdict) => share(day.edits ? day[verdict] / day.edits : null));
  const why = Object.entries(day.reasons).map(([code, count]) => `${t(`staff_reason_${code}`)} ${count}`).join(", ");
  const time = day.seconds === null ? "–" : `${day.seconds.toFixed(1)} s`;
  const off = day.landing_error_px === null ? "–" : `${day.landing_error_px.toFixed(1)} px`;
  const row = element("tr", "", $("days"));
  for (const text of [date, day.edits, ...verdicts, why, time, off, day.errors]) element("td", String(text), row);
}

/** The days of the record and the settings, which change slowly. */
async function showDays() {
  if (performance.now() - daysDrawn < DAYS_EVERY) return;
  const days = await (await ask("GET", "days")).json();
  const { limits, ...settings } = await (await ask("GET", "settings")).json();
  $("days").replaceChildren();
  days.forEach(showDay);
  const all = [...Object.entries(settings), ...Object.entries(limits).map(([name, value]) => [`limits.${name}`, value])];
  showPairs($("settings"), all.map(([name, value]) => [name, String(value ?? "") || "–"]));
  daysDrawn = performance.now();
}

function showHealth(health) {
  const facts = {
    staff_version: `edgedrag ${health.version}, Python ${health.python}`,
    staff_bundle: `${health.bundle} ${health.bundle_version}, ${health.precision}`,
    staff_engine: `${health.backend}: ${health.device}`,
    staff_uptime: duration(health.uptime_s),
    staff_memory: `${Math.round(health.memory_mb)} MB`,
    staff_sessions: String(health.sessions),
    staff_disk: `${Math.round(health.disk_free_mb)} MB`,
    staff_queue: `${health.queue} / ${health.queue_bound}`,
    staff_share: `${share(health.drift.recent_share)} / ${share(health.drift.before_share)}`,
  };
  showPairs($("facts"), Object.entries(facts).map(([word, value]) => [t(word), value]));
  showLimits(health);
  $("alarm").hidden = !health.drift.alarm;
  $("alarm").textContent = t("staff_alarm", { now: share(health.drift.recent_share), then: share(health.drift.before_share) });
  $("pixels").checked = health.pixels;
  $("kept").textContent = t("staff_kept", { held: health.held, kept: health.kept });
  $("errors").replaceChildren();
  for (const { at, what } of health.errors) element("li", `${new Date(at * 1000).toLocaleString(language)}  ${what}`, $("errors"));
  if (!health.errors.length) element("li", t("staff_no_errors"), $("errors"));
}

async function showHeld() {
  const held = await (await ask("GET", "held")).json();
  const shown = new Set(held.map((edit) => edit.name));
  for (const article of [...$("held").children]) if (!shown.has(article.dataset.name)) article.remove();
  const there = new Set([...$("held").children].map((article) => article.dataset.name));
  for (const edit of held.filter((edit) => !there.has(edit.name))) {
    const article = element("article", "");
    article.dataset.name = edit.name;
    element("div", `${edit.width} x ${edit.height}: ${edit.codes.map((code, i) => reasonText(code, edit.values[i])).join(" ")}`, article);
    const picture = element("img", "", article);
    picture.alt = t("staff_sheet");
    picture.src = URL.createObjectURL(await (await ask("GET", `held/${edit.name}/sheet`)).blob());
    picture.onload = () => URL.revokeObjectURL(picture.src);
    const choices = { staff_keep: ["POST", `held/${edit.name}/keep`], staff_discard: ["DELETE", `held/${edit.name}`] };
    for (const [word, [method, path]] of Object.entries(choices)) {
      element("button", t(word), article).addEventListener("click", () => ask(method, path).then(refresh, refused));
    }
    $("held").append(article);
  }
}

async function refresh() {
  try {
    showHealth(await (await ask("GET", "health")).json());
    const edits = (await (await ask("GET", "edits?limit=1000")).json()).reverse();
    drawVerdicts($("verdicts"), edits);
    drawValues($("times"), edits, "total_ms", "ms");
    drawValues($("landing"), edits, "landing_error_px", "px");
    await showHeld();
    await showDays();
    $("enter").hidden = true;
    $("board").hidden = false;
    $("refused").textContent = "";
    return true;
  } catch (error) {
    return refused(error);
  }
}

/** A problem of the self-test: one of its own, or a reason of the drag's verdict. */
function testText(code, values) {
  const key = `staff_test_${code}`;
  const text = t(key, values);
  return text === key ? reasonText(code, values) : text;
}

const staffErrorText = (error) => errorText(error, { 401: "staff_wrong", 404: "staff_gone", 429: "staff_wait" });

function refused(error) {
  if (error instanceof ApiError && error.status === 401) {
    secret = null;
    sessionStorage.removeItem("staff-code");
    $("enter").hidden = false;
    $("board").hidden = true;
  }
  console.error(error);
  $("refused").textContent = staffErrorText(error);
  return false;
}

$("enter").addEventListener("submit", async (event) => {
  event.preventDefault();
  secret = $("code").value.trim();
  if (await refresh()) sessionStorage.setItem("staff-code", secret);
  $("code").value = "";
});
$("test").addEventListener("click", async () => {
  $("report").textContent = t("staff_testing");
  delete $("report").dataset.passed;
  try {
    const report = await (await ask("POST", "self-test")).json();
    $("report").dataset.passed = report.passed;
    const figures = Object.entries(report.figures).map(([name, value]) => `${name} ${value}`).join(", ");
    const problems = report.codes.map((code, i) => testText(code, report.values[i]));
    $("report").textContent = [t(report.passed ? "staff_passed" : "staff_failed"), ...problems, figures].join("\n");
  } catch (error) {
    $("report").dataset.passed = "false";
    $("report").textContent = staffErrorText(error);
  }
});
$("csv").addEventListener("click", async () => {
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await (await ask("GET", "edits.csv")).blob());
    link.download = "edgedrag-edits.csv";
    link.click();
  } catch (error) {
    refused(error);
  }
});
$("pixels").addEventListener("change", () => ask("PUT", "pixels", { pixels: $("pixels").checked }).then(refresh, refused));
offerLanguages(() => {
  $("held").replaceChildren();
  daysDrawn = -Infinity;
  if (secret) refresh();
});

/** Lock the page and return to the visitors' screen. */
function done() {
  sessionStorage.removeItem("staff-code");
  location.replace("./");
}
$("done").addEventListener("click", done);
let locking = setTimeout(done, LONGEST);
for (const name of ["pointerdown", "keydown", "wheel"]) {
  addEventListener(name, () => {
    clearTimeout(locking);
    locking = setTimeout(done, LONGEST);
  });
}

await speak(firstLanguage());
if (secret) await refresh();
setInterval(() => secret && !document.hidden && refresh(), EVERY);
document.body.dataset.ready = "yes";
