// How fast previews follow a finger, and how fine a motion field this device can take.

const GRIDS = [128, 64, 32]; // cells of the field's longer side, at most
const SLOW = 1000 / 24, FAST = 1000 / 40; // milliseconds of a frame, beyond which the field gets coarser or finer
const FRAMES = 6; // that count together, so that one slow frame changes nothing

export class Pace {
  constructor() {
    this.level = 0;
    this.rest();
  }

  get grid() {
    return GRIDS[this.level];
  }

  /** Whether even the coarsest field is too fine for this device: then pixels are not mixed either. */
  get hurried() {
    return this.level === GRIDS.length - 1;
  }

  /** No preview follows the last one. */
  rest() {
    this.last = null;
    this.intervals = [];
  }

  /** A preview came: `asked` for at a time, of which the station took `ms`. */
  came({ asked, ms, grid }) {
    this.now = performance.now();
    this.cells = Math.max(...grid);
    this.asked = asked;
    if (asked !== undefined) performance.measure("preview answer", { start: asked, end: this.now, detail: ms });
  }

  /** It was drawn, which began at a time: fields get coarser before the photo falls behind the finger. */
  drawn(begun) {
    const end = performance.now();
    performance.mark("preview frame");
    performance.measure("preview draw", { start: begun, end, detail: this.cells });
    performance.measure("preview wait", { start: this.now, end: begun }); // for the screen's next frame
    if (this.last !== null && this.asked < this.last) this.intervals.push(end - this.last); // else the finger rested
    this.last = end;
    if (this.intervals.length < FRAMES) return;
    const middle = this.intervals.sort((a, b) => a - b)[FRAMES >> 1];
    this.intervals = [];
    if (middle > SLOW) this.level = Math.min(this.level + 1, GRIDS.length - 1);
    else if (middle < FAST) this.level = Math.max(this.level - 1, 0);
  }
}
