// Pulling: arrows, what they hold, and two fingers that move, turn and size it.

import { Hold } from "./hold.js";
import { t } from "./words.js";

const SHORTEST = 8; // screen pixels; a shorter pull is taken for a tap
const GRIP = 36; // screen pixels around an arrow's tip where a finger takes hold of it
const RESTED = 300; // milliseconds that the first finger is down before a second one takes hold of something else
const NO_PIN = 0.05; // photo pixels: an arrow of length 0 would pin the thing that two fingers turn

export const isPin = ([[a, b], [x, y]]) => a === x && b === y;
const copy = (arrow) => arrow.map((point) => [...point]);

export class Pulls {
  constructor(editor) {
    this.editor = editor;
    this.hold = new Hold();
    this.reset();
  }

  reset() {
    this.pins = []; // points that stay
    this.arrows = []; // handle and target, in photo pixels
    this.pull = this.second = null; // the arrows under one finger, or two
    this.chosen = null; // the point whose outline a tap left on the photo
    this.motion = "auto";
    this.hold.reset();
  }

  /** The arrows, the fingers' too. */
  all() {
    return [...this.arrows, ...[this.pull, this.second].filter(Boolean)];
  }

  /** What a preview or an edit asks for. */
  request() {
    return { drags: [...this.all(), ...this.pins.map((point) => [point, point])].map(copy), motion: this.motion, answer: this.hold.answer };
  }

  /** Take hold of the photo at a point, or of the tip of an arrow that is there; `at` is the place on the screen. */
  take(point, at) {
    const { editor, hold } = this;
    performance.mark("touch", { startTime: at.time }); // or now
    this.since = performance.now();
    const near = this.arrows.findLastIndex(([, target]) => {
      const tip = editor.view.toScreen(target);
      return Math.hypot(tip.x - at.x, tip.y - at.y) < GRIP;
    });
    this.chosen = null;
    if (near >= 0) {
      this.pull = [this.arrows.splice(near, 1)[0][0], point];
      this.preview();
      return;
    }
    if (!editor.collecting) this.arrows = [];
    this.inside = hold.holds(point);
    if (!this.inside && !this.arrows.length) this.forget();
    this.pull = [point, point];
    if (editor.area.own && !editor.area.holds(point)) editor.painting.drop(t("area_left"));
    this.outline(point);
    editor.redraw();
  }

  /** Set a pin, or take the one away that is there. */
  pin(point, at) {
    const near = this.pins.findLastIndex((pin) => {
      const there = this.editor.view.toScreen(pin);
      return Math.hypot(there.x - at.x, there.y - at.y) < GRIP;
    });
    if (near >= 0) this.pins.splice(near, 1);
    else this.pins.push(point);
    if (this.arrows.length) this.preview();
    this.editor.refresh();
  }

  /** Request the outline at a handle; a painted area is its own outline. */
  outline(handle) {
    if (!this.editor.area.own && this.editor.live) this.hold.ask(this.editor.live, handle);
  }

  /** The station's outline, or that it has none. */
  outlined(message) {
    const handles = [...this.all().map(([handle]) => handle), ...(this.chosen ? [this.chosen] : [])];
    if (!this.hold.take(message, handles) || this.editor.area.own) return;
    this.editor.stage.cover(this.hold);
    this.editor.redraw();
    if (this.hold.found.size) this.editor.shown("touch to outline", "touch");
  }

  pullTo(point) {
    this.pull[1] = point;
    this.preview();
  }

  /** Let go: an edit, or with `collecting` one arrow more; a pull that goes nowhere is a tap. */
  release() {
    const { editor, pull } = this;
    this.pull = null;
    if (!this.short(pull)) {
      this.arrows.push(pull);
      if (editor.collecting) this.preview();
      else editor.commit();
    }
    editor.refresh();
    if (this.short(pull)) this.tap(pull[0]);
  }

  short(arrow) {
    const [from, to] = arrow.map((point) => this.editor.view.toScreen(point));
    return Math.hypot(from.x - to.x, from.y - to.y) < SHORTEST;
  }

  /** A tap shows what moves; a further one on it means another answer. */
  tap(point) {
    const { editor } = this;
    if (this.arrows.length) this.preview();
    else editor.endPreview();
    if (editor.collecting || editor.area.own) return editor.say("too_short");
    this.chosen = point;
    if (this.inside) {
      this.hold.next();
      this.outline(point);
    }
    editor.say(`hint_${this.hold.answer}`);
  }

  /** A second finger: whether it takes hold too. In the outline both hold one thing; elsewhere it takes another one,
   *  where the first finger rested before. Fingers that come together zoom. */
  pairStart(point) {
    const { editor, hold } = this;
    if (!this.pull || editor.collecting || editor.area.own) return false;
    const one = hold.holds(point);
    if (!one && (!hold.found.size || performance.now() - this.since < RESTED)) return false;
    this.second = [point, point];
    this.motion = one ? "stretch" : "auto";
    if (!one) this.outline(point);
    editor.say(one ? "hint_pair" : "hint_two");
    return true;
  }

  pairMove(one, two) {
    for (const [arrow, at] of [[this.pull, one], [this.second, two]]) {
      const still = this.motion === "stretch" && arrow[0][0] === at[0] && arrow[0][1] === at[1];
      arrow[1] = still ? [at[0] + (at[0] > 1 ? -NO_PIN : NO_PIN), at[1]] : at;
    }
    this.preview();
  }

  pairEnd() {
    const pair = [this.pull, this.second];
    this.pull = this.second = null;
    if (pair.every((arrow) => this.short(arrow))) {
      this.motion = "auto";
      this.chosen = pair[0][0];
      this.editor.endPreview();
    } else {
      // Of two things, the one whose finger rests stays where it is.
      this.arrows = pair.map((arrow) => (this.motion === "auto" && this.short(arrow) ? [arrow[0], arrow[0]] : arrow));
      this.editor.commit();
    }
    this.editor.refresh();
  }

  /** The fingers were taken away without letting go: as if they had not come. */
  stop() {
    this.pull = this.second = null;
    this.motion = "auto";
    if (this.arrows.length) this.preview();
    else {
      this.forget();
      this.editor.endPreview();
    }
  }

  /** No outline, and the first of the answers again. */
  forget() {
    this.chosen = null;
    this.hold.reset();
    if (!this.editor.area.own) this.editor.stage.cover(null);
  }

  /** Request a preview of all arrows. */
  preview() {
    const { editor } = this;
    const request = this.request();
    if (!request.drags.every(isPin)) {
      editor.painting.saved.then(() => editor.live?.preview({ ...request, grid: editor.pace.grid }));
    }
    editor.redrawLater();
  }
}
