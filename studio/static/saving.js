// What a visitor takes along: a file, a print, or a link for their own phone.

import { call } from "./api.js";
import { t } from "./words.js";

const $ = (id) => document.getElementById(id);
const REFUSED = ["transparency", "depth"]; // a photo with these is not saved as JPEG

export class Saving {
  /** `session()` is the visitor's; `said(text)` shows a message, `failed(error)` one of an error. */
  constructor(session, said, failed) {
    this.session = session;
    this.said = said;
    const guarded = (work) => () => work().catch((error) => {
      $("saving").close();
      failed(error);
    });
    $("save").addEventListener("click", () => this.open());
    $("save-jpeg").addEventListener("click", guarded(() => this.download("jpeg", "jpg")));
    $("save-png").addEventListener("click", guarded(() => this.download("png", "png")));
    $("print").addEventListener("click", guarded(() => this.print()));
    $("share").addEventListener("click", guarded(() => this.share()));
    for (const dialog of [$("saving"), $("taking")]) dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    $("taking").addEventListener("close", () => $("qr").replaceChildren());
  }

  /** Another photo, of a media type, in a session's state; `shares` says whether the station gives links. */
  begin(type, state, shares) {
    this.type = type;
    this.losses = state.jpeg_loses;
    const codes = state.warnings.map(({ code }) => code).filter((code) => code !== "mask_is_whole");
    this.notKept = [...new Set(codes)]; // of the photo's file, in any format
    this.unsaved = false;
    $("share").hidden = !shares;
  }

  /** Whether JPEG can hold the photo. */
  get fits() {
    return !REFUSED.some((what) => this.losses.includes(what));
  }

  open() {
    const jpeg = this.type === "image/jpeg" && this.fits;
    const notes = [...this.losses.map((what) => `jpeg_loses_${what}`), ...this.notKept.map((code) => `saved_${code}`)];
    $("save-note").textContent = notes.map((key) => t(key)).join(" ");
    $("save-jpeg").disabled = !this.fits;
    $("save-jpeg").classList.toggle("main", jpeg);
    $("save-png").classList.toggle("main", !jpeg);
    $("saving").showModal();
    $(jpeg ? "save-jpeg" : "save-png").focus();
  }

  async download(format, ending) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await this.session().picture(format));
    link.download = `edgedrag.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    this.unsaved = false;
    $("saving").close();
    this.said(t("saved", { name: link.download }));
  }

  async print() {
    $("saving").close();
    $("paper").src = URL.createObjectURL(await this.session().picture(this.fits ? "jpeg" : "png"));
    await $("paper").decode();
    addEventListener("afterprint", () => this.wipePaper(), { once: true });
    window.print();
    this.unsaved = false;
  }

  /** No picture remains where it was put to be printed. */
  wipePaper() {
    URL.revokeObjectURL($("paper").src);
    $("paper").removeAttribute("src");
  }

  async share() {
    const { url, code, seconds } = await (await call("POST", `${this.session().path}/share`)).json();
    const [rows, path] = [code.length, code.map((row, y) => [...row].map((dark, x) => (dark === "1" ? `M${x} ${y}h1v1h-1z` : "")).join("")).join("")];
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `-4 -4 ${rows + 8} ${rows + 8}`);
    const dark = document.createElementNS("http://www.w3.org/2000/svg", "path");
    dark.setAttribute("d", path);
    svg.append(dark);
    $("qr").replaceChildren(svg);
    $("qr-link").textContent = url;
    $("qr-note").textContent = t("share_note", { minutes: Math.round(seconds / 60) });
    $("saving").close();
    $("taking").showModal();
    this.unsaved = false;
  }

  /** Whether the visit may end: asks where something is not saved yet. */
  async mayEnd() {
    if (!this.unsaved) return true;
    $("finishing").showModal();
    return new Promise((resolve) => {
      $("finishing").addEventListener("close", () => resolve($("finishing").returnValue === "end"), { once: true });
      $("finishing").returnValue = "";
      $("finish-end").onclick = () => $("finishing").close("end");
      $("finish-stay").onclick = () => $("finishing").close("");
      $("finish-save").onclick = () => {
        $("finishing").close("");
        this.open();
      };
    });
  }
}
