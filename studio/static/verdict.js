// The card that says how a result turned out.

import { reasonText, t } from "./words.js";

const $ = (id) => document.getElementById(id);
const GOOD_SECONDS = 6; // a good verdict shows for so long
let hiding = 0;

export function hideVerdict() {
  clearTimeout(hiding);
  $("verdict").hidden = true;
}

/** Show the verdict of a result's frame, and its first reason. */
export function showVerdict({ verdict, codes, values }, motionOnly) {
  clearTimeout(hiding);
  const code = codes[0]; // alone: a card of many lines would hide the result
  $("verdict").dataset.verdict = verdict;
  $("verdict-text").textContent = [t(verdict), ...(code ? [reasonText(code, values[0])] : [])].join("\n");
  $("keep-preview").hidden = verdict === "good" || motionOnly;
  $("keep-result").hidden = verdict === "good";
  $("verdict").hidden = false;
  if (verdict === "good") hiding = setTimeout(hideVerdict, GOOD_SECONDS * 1000);
}
