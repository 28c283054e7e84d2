// The choice of a language: a dialog with each by its own name.

import { LANGUAGES, language, remember, speak } from "./words.js";

/** Let every button of the class "language" open the choice; `changed` is called after one was made. */
export function offerLanguages(changed) {
  const dialog = document.createElement("dialog");
  dialog.id = "languages";
  dialog.dataset.wordLabel = "language";
  for (const [code, name] of Object.entries(LANGUAGES)) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: name, lang: code, value: code });
    button.addEventListener("click", async () => {
      dialog.close();
      await speak(code);
      remember(language);
      changed();
    });
    dialog.append(button);
  }
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
  document.body.append(dialog);
  for (const button of document.querySelectorAll(".language")) button.addEventListener("click", () => {
    for (const each of dialog.children) each.setAttribute("aria-pressed", each.value === language);
    dialog.showModal();
  });
}
