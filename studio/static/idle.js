// Ends a session that nobody uses: asks, counts down, then calls `gone`.

import { t } from "./words.js";

const $ = (id) => document.getElementById(id);
const WARNING = 20; // seconds of countdown, at most half of the timeout
const EVENTS = ["pointerdown", "pointermove", "click", "keydown", "wheel"];

export class Idle {
  /** `gone` is called when time is up, `touch` at intervals while somebody uses the page. */
  constructor(gone, touch) {
    this.gone = gone;
    this.touch = touch;
    this.seconds = null;
    for (const name of EVENTS) addEventListener(name, () => this.seen(), { capture: true, passive: true });
    setInterval(() => this.look(), 500);
    $("still-there").addEventListener("click", () => $("still-there").close()); // not before: the tap would go through it
  }

  /** Begin to count, or stop with null. */
  watch(seconds) {
    this.seconds = seconds;
    this.last = this.touched = Date.now();
    if ($("still-there").open) $("still-there").close();
  }

  seen() {
    this.last = Date.now();
    if (this.seconds === null) return;
    if (this.last - this.touched > Math.min(10, this.seconds / 4) * 1000) {
      this.touched = this.last;
      this.touch();
    }
  }

  look() {
    if (this.seconds === null) return;
    const left = this.seconds - (Date.now() - this.last) / 1000;
    if (left <= 0) return this.gone();
    if (left < Math.min(WARNING, this.seconds / 2) || $("still-there").open) {
      if (!$("still-there").open) $("still-there").showModal();
      $("countdown").textContent = t("countdown", { seconds: Math.ceil(left) });
    }
  }
}
