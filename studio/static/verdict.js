// The card that says how a result turned out.

import { reasonText, t } from "./words.js";

const $ = (id) => document.getElementById(id);
const HELPS = { missed: "retry", seam: "retry" }; // by the first reason, which button is the main one
const HELPS_ELSE = "take-back";
let shown = null;

export function hideVerdict() {
  shown = null;
  $("verdict").hidden = true;
}

/** Show the verdict of a result's frame, and its first reason. */
export function showVerdict(frame, motionOnly) {
  const { verdict, codes } = (shown = frame);
  $("verdict").dataset.verdict = verdict;
  reword();
  const main = verdict === "bad" ? (HELPS[codes[0]] ?? HELPS_ELSE) : null;
  for (const button of $("verdict").querySelectorAll(".row button")) {
    button.classList.toggle("helps", button.id === main);
    button.hidden = verdict === "good" || (button.id === "take-back" && verdict !== "bad");
  }
  $("keep-preview").hidden ||= motionOnly;
  $("verdict").hidden = false;
}

/** The card's text in the page's language. */
export function reword() {
  if (!shown) return;
  const { verdict, codes, values } = shown;
  const reason = codes[0] ? [reasonText(codes[0], values[0])] : []; // one: it is read at a glance
  $("verdict-text").textContent = [t(verdict), ...reason].join("\n");
}
