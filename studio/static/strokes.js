// Brushes that move the photo: push, grow, shrink, smooth. The page shows a stroke while it goes on; the station makes it.

import { Field, MAX_DABS, MAX_POINTS, Stroke, Walk } from "./field.js";

const REST = 40; // milliseconds without a dab, as the brush rests or goes slowly, for a dab more
const GRID = 256; // cells of the station's frame of where the photo's pixels come from, at most
const round = (value) => Math.round(value * 100) / 100;

export class Strokes {
  constructor(editor) {
    this.editor = editor;
    this.reset();
  }

  reset() {
    clearInterval(this.resting);
    this.stroke = this.field = this.walk = this.rest = null;
    this.asked = null; // the id of the request of a "smooth"
  }

  /** The strokes that are not in the picture yet, the one under the finger last. */
  get all() {
    return [...this.editor.edits.waiting.flatMap(({ stroke }) => stroke ?? []), ...(this.stroke ? [this.stroke] : [])];
  }

  start(at) {
    const { view, painting, pulls, tool } = this.editor, { width, height } = view.photo;
    const radius = Math.min(Math.max((painting.radius / view.scale) * view.k, 1), Math.max(width, height));
    if (!pulls.arrows.length) pulls.forget();
    this.begin(new Stroke(tool, this.place(at, radius), round(radius)));
    if (tool !== "push") {
      let seen = 0;
      this.resting = setInterval(() => {
        if (this.walk.dabs === seen) this.add(this.stroke.path.at(-1));
        seen = this.walk.dabs;
      }, REST);
    }
  }

  begin(stroke) {
    this.stroke = stroke;
    this.rebuild();
    this.ask();
  }

  /** Where a brush on the screen is on the photo, or beside it as far as it reaches. */
  place(at, radius) {
    const { view } = this.editor, { width, height } = view.photo;
    return view.toPhotoFreely(at).map((value, i) => round(Math.min(Math.max(value, -radius), (i ? height : width) - 1 + radius)));
  }

  move(at) {
    const point = this.place(at, this.stroke.radius), last = this.stroke.path.at(-1);
    if (point[0] !== last[0] || point[1] !== last[1]) this.add(point);
  }

  /** A further point of the stroke; a very long one is made in pieces. */
  add(point) {
    const { stroke } = this;
    stroke.path.push(point);
    if (this.field.holds(point, stroke.radius) || this.field.whole) {
      this.draw(this.walk.to(point));
    } else this.rebuild();
    if (stroke.path.length < MAX_POINTS && this.walk.dabs < MAX_DABS) return;
    this.editor.edits.add({ stroke });
    this.begin(new Stroke(stroke.brush, point, stroke.radius));
  }

  /** Lift the brush: the station makes the stroke. */
  end() {
    const { stroke, editor } = this;
    const moved = stroke.brush !== "push" || stroke.path.length > 1;
    this.lift();
    this.rest = null; // the push has come to its end
    performance.mark("release");
    if (moved) editor.edits.add({ stroke });
    else this.rebuild();
    editor.refresh();
    if (!moved) editor.say("hint_push");
  }

  /** The stroke under the finger is given up. */
  stop() {
    this.lift();
    this.rebuild();
  }

  lift() {
    clearInterval(this.resting);
    this.stroke = this.asked = null;
  }

  /** Begin the preview anew: the strokes that are not in the picture yet, on a grid around them. */
  rebuild() {
    const { all, editor } = this;
    this.rest = this.field = null;
    if (!all.length) return editor.stage.rest();
    const { width, height } = editor.view.photo, points = all.flatMap(({ path }) => path);
    const most = Math.max(...all.map(({ radius }) => radius));
    const sides = [width, height].map((length, axis) => {
      const low = points.reduce((least, point) => Math.min(least, point[axis]), Infinity), high = points.reduce((top, point) => Math.max(top, point[axis]), -Infinity);
      const around = most + Math.max(4 * most, (high - low) / 2);
      return [Math.min(Math.max(Math.floor(low - around), 0), length - 1), Math.max(Math.min(Math.ceil(high + around), length), 1)];
    });
    const [[left, right], [top, bottom]] = sides;
    const field = (this.field = new Field([left, top, right - left, bottom - top], Math.min(...all.map(({ radius }) => radius))));
    field.whole = right - left === width && bottom - top === height;
    field.shield = this.shield(field);
    for (const stroke of all) {
      const walk = (this.walk = new Walk(stroke));
      const dabs = [...walk.begin(), ...stroke.path.slice(1).flatMap((point) => walk.to(point))];
      for (const dab of dabs) field.dab(stroke, dab);
      if (stroke !== this.stroke && walk.rest()) field.dab(stroke, walk.rest());
    }
    field.fresh = [0, 0, ...field.grid];
    this.draw([]);
  }

  /** Add dabs of the stroke under the finger to the preview; a push goes on to the finger, until more of it is known. */
  draw(dabs) {
    const { field, stroke, editor } = this;
    if (this.rest) field.paste(this.rest);
    this.rest = null;
    for (const dab of dabs) field.dab(stroke, dab);
    const left = stroke && this.walk.rest(), part = left && field.part(left.centre, stroke.radius);
    if (part) {
      this.rest = field.copy(part, 0);
      field.dab(stroke, left);
    }
    if (field.fresh) {
      editor.stage.bend(field);
      editor.previewIsNew = true;
    }
    editor.redraw();
  }

  /** How much of each cell is protected, 0 to 255, or null. */
  shield(field) {
    const { shield } = this.editor.painting;
    if (!shield.own) return null;
    const small = document.createElement("canvas"), [w, h] = ([small.width, small.height] = field.grid);
    const pen = small.getContext("2d", { willReadFrequently: true });
    pen.drawImage(shield.canvas, ...field.box.map((length) => length * shield.scale), 0, 0, w, h);
    return pen.getImageData(0, 0, w, h).data;
  }

  /** Ask what there is to smooth, once all edits so far are made. */
  ask() {
    const { editor, stroke } = this;
    if (stroke?.brush !== "smooth" || stroke.shown || this.asked !== null || editor.edits.current) return;
    const { width, height } = editor.view.stage, box = editor.view.toPhoto({ x: 0, y: 0 }).map(Math.floor);
    const size = editor.view.toPhoto({ x: width, y: height }).map((value, i) => Math.ceil(value) - box[i] + 1);
    const share = Math.min(GRID / Math.max(...size), 1);
    this.asked = editor.live.send("flow", { box: [...box, ...size], grid: size.map((length) => Math.max(Math.round(length * share), 1)) });
  }

  /** The station's answer. */
  take({ id, box, grid, payload }) {
    if (id !== this.asked || !this.stroke) return;
    this.stroke.shown = { box, grid, flow: new Float32Array(payload) };
    this.rebuild();
  }
}
