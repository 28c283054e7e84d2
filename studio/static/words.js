// The page's texts: static/i18n/LANGUAGE.json.

export const LANGUAGES = { en: "English", de: "Deutsch", es: "Español", fr: "Français", ja: "日本語", zh: "简体中文" };
let words = {};
export let language = "en";

/** A text; {name} in it is replaced by values.name. */
export function t(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** A reason of a verdict, by its code and values (runtime/drag/reasons.py). */
export const reasonText = (code, values) => t(`reason_${code}`, values);

/** Load a language and put it into the page. */
export async function speak(wanted) {
  language = wanted in LANGUAGES ? wanted : "en";
  words = await (await fetch(`static/i18n/${language}.json`)).json();
  document.documentElement.lang = language === "zh" ? "zh-Hans" : language;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = t(element.dataset.word);
  for (const element of document.querySelectorAll(".language .name")) element.textContent = LANGUAGES[language];
  for (const element of document.querySelectorAll("[data-word-label]")) element.setAttribute("aria-label", t(element.dataset.wordLabel));
}

/** Keep a choice for this tab; it takes the place of the address's, which would count again after a reload. */
export function remember(chosen) {
  sessionStorage.setItem("language", chosen);
  const address = new URL(location.href);
  if (!address.searchParams.has("lang")) return;
  address.searchParams.set("lang", chosen);
  history.replaceState(history.state, "", address);
}

/** The language to begin with: of the address (?lang=ja), of the last choice in this tab, of the browser. */
export function firstLanguage() {
  const asked = new URLSearchParams(location.search).get("lang") ?? sessionStorage.getItem("language");
  return asked ?? Object.keys(LANGUAGES).find((known) => navigator.language.startsWith(known)) ?? "en";
}
