// The brushes: the area that may change, what must not, and what is put back.

import { ApiError } from "./api.js";
import { Tint } from "./area.js";
import { t } from "./words.js";

const RADIUS = 26; // screen pixels, until the visitor chooses another

export class Painting {
  constructor(editor) {
    this.editor = editor;
    this.radius = RADIUS;
    this.shield = new Tint("rgb(80 170 255)"); // what must not change
    this.back = new Tint("rgb(255 255 255)"); // what is being put back
    this.reset();
  }

  reset() {
    this.stroke = null;
    this.saved = Promise.resolve(); // resolves when the station has what was painted
  }

  /** Another photo. */
  async open(state) {
    this.shield.open(state);
    this.back.open(state);
    if (state.protected) this.shield.takePicture(await createImageBitmap(await this.editor.session.mask("protect")));
  }

  /** The brush at a place of the screen, as the overlay draws it. */
  brush = (at) => ({ ...at, radius: this.radius });

  start(at) {
    const { area, stage, tool, view } = this.editor;
    if (tool === "paint" && !area.own && stage.motion?.inside) area.takeMotion(stage.motion);
    this.stroke = view.toPhoto(at);
    this.touched = new Set();
    this.move(at);
  }

  move(at) {
    const { area, stage, tool, view } = this.editor;
    const to = view.toPhoto(at), radius = (this.radius / view.scale) * view.k;
    for (const [each, brushes] of [[area, { paint: true, erase: false }], [this.shield, { protect: true, erase: false }], [this.back, { restore: true }]]) {
      if (!(tool in brushes) || (tool === "erase" && !each.own && !(each === area && stage.motion?.inside))) continue;
      if (tool === "erase" && !each.own) each.takeMotion(stage.motion);
      each.stroke(this.stroke, to, radius, brushes[tool]);
      this.touched.add(each);
    }
    this.stroke = to;
    if (this.touched.has(area)) stage.cover(area);
    this.editor.redraw();
  }

  end() {
    const { area, pulls, live } = this.editor;
    this.stroke = null;
    if (this.touched.has(area)) area.empty ? this.drop(t("area_empty")) : this.send(area);
    if (this.touched.has(this.shield)) this.shield.empty ? this.dropShield() : this.send(this.shield, "protect");
    if (this.touched.has(this.back)) this.send(this.back, "restore").then(() => live?.send("restore"));
    if (pulls.arrows.length) pulls.preview();
    this.editor.refresh();
  }

  /** Send what was painted, after the requests that are on their way. */
  send(area, use = "area") {
    const { session, callbacks } = this.editor;
    this.saved = this.saved
      .then(async () => session.putMask(await area.file(), use))
      .catch((error) => callbacks.toast(t(error instanceof ApiError && error.status === 0 ? "error_offline" : "error_failed")));
    return this.saved;
  }

  drop(why) {
    const { area, session, stage, callbacks } = this.editor;
    if (why) callbacks.toast(why);
    area.wipe();
    stage.cover(null);
    this.saved = this.saved.then(() => session.dropMask()).catch(() => {});
    this.editor.redraw();
  }

  dropShield() {
    const { session } = this.editor;
    this.shield.wipe();
    this.saved = this.saved.then(() => session.dropMask("protect")).catch(() => {});
    this.editor.redraw();
  }

  /** Load the last edit's area to correct it. */
  async fetch() {
    const { area, session, stage } = this.editor;
    area.takePicture(await createImageBitmap(await session.mask()));
    area.own = true;
    stage.cover(area);
    await this.send(area);
  }
}
