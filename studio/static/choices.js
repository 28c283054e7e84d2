// The answers to choose from beneath a result: the one that stands in the photo, and others.

import { t } from "./words.js";

const $ = (id) => document.getElementById(id);

export class Choices {
  /** `take(choice)` is called with what to ask for: motion, answer, seed. */
  constructor(take) {
    this.take = take;
    this.id = null; // of the request whose answers are shown
  }

  /** Wait for the answers of a request. */
  begin(id) {
    this.hide();
    this.id = id;
  }

  /** Show one more answer; the first is the one that was made. */
  add({ id, place, motion, answer, seed, verdict, payload }) {
    if (id !== this.id) return;
    const button = document.createElement("button");
    const picture = document.createElement("img");
    picture.src = URL.createObjectURL(new Blob([payload], { type: "image/png" }));
    picture.alt = "";
    picture.addEventListener("load", () => URL.revokeObjectURL(picture.src));
    button.type = "button";
    button.dataset.verdict = verdict;
    button.append(picture);
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-pressed") === "true") return;
      this.mark(button);
      this.take({ motion, answer, seed });
    });
    $("choices").append(button);
    if (!place) this.mark(button);
    $("choices").hidden = place === 0;
    this.relabel();
  }

  mark(chosen) {
    for (const button of $("choices").children) button.setAttribute("aria-pressed", button === chosen);
  }

  /** Texts in the page's language. */
  relabel() {
    [...$("choices").children].forEach((button, i) => button.setAttribute("aria-label", t("choice", { number: i + 1 })));
  }

  hide() {
    this.id = null;
    $("choices").hidden = true;
    $("choices").replaceChildren();
  }
}
