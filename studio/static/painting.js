// The brushes: the area that may change.

import { ApiError } from "./api.js";
import { t } from "./words.js";

const BRUSH = 26; // radius, screen pixels

export class Painting {
  constructor(editor) {
    this.editor = editor;
    this.reset();
  }

  reset() {
    this.stroke = null;
    this.saved = Promise.resolve(); // resolves when the station has the painted area
  }

  /** The brush at a place of the screen, as the overlay draws it. */
  brush = (at) => ({ ...at, radius: BRUSH });

  start(at) {
    const { area, stage, view } = this.editor;
    if (!area.own && stage.motion) area.takeMotion(stage.motion);
    this.stroke = view.toPhoto(at);
    this.move(at);
  }

  move(at) {
    const { area, stage, tool, view } = this.editor;
    const to = view.toPhoto(at);
    area.stroke(this.stroke, to, (BRUSH / view.scale) * view.k, tool === "paint");
    this.stroke = to;
    stage.cover(area.canvas);
    this.editor.redraw();
  }

  end() {
    const { area, pulls } = this.editor;
    this.stroke = null;
    if (area.empty) return this.drop(t("area_empty"));
    this.send();
    if (pulls.arrows.length) pulls.preview();
    this.editor.refresh();
  }

  /** Send the painted area, after the requests that are on their way. */
  send() {
    const { area, session, callbacks } = this.editor;
    this.saved = this.saved
      .then(async () => session.putMask(await area.file()))
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

  /** Load the last edit's area to correct it. */
  async fetch() {
    const { area, session, stage } = this.editor;
    area.takePicture(await createImageBitmap(await session.mask()));
    area.own = true;
    stage.cover(area.canvas);
    await this.send();
  }
}
