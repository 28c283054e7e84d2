// The card that says how a result turned out.

import { t } from "./words.js";

const $ = (id) => document.getElementById(id);
const GOOD_SECONDS = 6; // a good verdict shows for so long
// Of several reasons only the first of these is told: a card of many lines would hide the result.
const WEIGHT = ["not_numbers", "missed", "stretched", "flat", "blurred", "seam", "no_texture", "other"];
let hiding = 0;

export function hideVerdict() {
  clearTimeout(hiding);
  $("verdict").hidden = true;
}

/** Show the verdict of a result's frame, and what can be done about it. */
export function showVerdict({ verdict, codes }, motionOnly) {
  clearTimeout(hiding);
  const why = WEIGHT.find((code) => codes.includes(code));
  $("verdict").dataset.verdict = verdict;
  $("verdict-text").textContent = [t(verdict), ...(why ? [t(why)] : [])].join("\n");
  $("keep-preview").hidden = verdict === "good" || motionOnly;
  $("keep-result").hidden = verdict === "good";
  $("verdict").hidden = false;
  if (verdict === "good") hiding = setTimeout(hideVerdict, GOOD_SECONDS * 1000);
}
