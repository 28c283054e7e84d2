// What moves with the point under a finger: its outline, as the station finds it, and which of three answers is meant.

export const ANSWERS = ["thing", "part", "neighbourhood"]; // a pull moves the first, unless taps ask for another

const pen = document.createElement("canvas").getContext("2d"); // which knows what lies in a path

export class Hold {
  constructor() {
    this.reset();
  }

  /** Nothing is held. */
  reset() {
    this.answer = ANSWERS[0];
    this.found = new Map(); // polygons in photo pixels, by handle
    this.path = this.box = null; // of all of them, and what holds it: left, top, right, bottom
    this.waiting = new Map(); // what was asked for whose handle, and when, by the id of the request
  }

  /** Request the outline of what a handle holds; until it comes, the one before it stays. */
  ask(live, handle) {
    const { answer } = this, asked = performance.now();
    this.waiting.set(live.send("hold", { point: [...handle], answer }), { handle, answer, asked });
  }

  /** Take the station's outline, or that it has none (no `outlines`); whether something else is to be shown now.
   *  `handles` are those in use. */
  take({ id, outlines, ms }, handles) {
    const { handle, answer, asked } = this.waiting.get(id) ?? {};
    this.waiting.delete(id);
    if (!handles.includes(handle) || answer !== this.answer) return false;
    if (outlines) {
      performance.measure("outline answer", { start: asked, detail: ms });
      this.found.set(handle, outlines[answer]);
    } else this.found.delete(handle);
    for (const known of this.found.keys()) if (!handles.includes(known)) this.found.delete(known);
    this.draw([...this.found.values()].flat());
    return true;
  }

  /** Make the path of polygons. */
  draw(polygons) {
    this.path = new Path2D();
    for (const polygon of polygons) {
      polygon.forEach(([x, y], i) => this.path[i ? "lineTo" : "moveTo"](x, y));
      this.path.closePath();
    }
    const [xs, ys] = [0, 1].map((axis) => polygons.flat().map((point) => point[axis]));
    this.box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  }

  /** Mean the next of the answers. */
  next() {
    this.answer = ANSWERS[(ANSWERS.indexOf(this.answer) + 1) % ANSWERS.length];
  }

  /** Whether a point of the photo lies in the outline. */
  holds = ([x, y]) => this.found.size > 0 && pen.isPointInPath(this.path, x, y);
}
