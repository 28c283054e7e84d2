// What moves with the point under a finger: its outline, as the station finds it, and which of three answers is meant.

import { Area } from "./area.js";

export const ANSWERS = ["thing", "part", "neighbourhood"]; // a pull moves the first, unless taps ask for another

export class Hold {
  constructor() {
    this.area = new Area();
    this.reset();
  }

  /** Another photo. */
  open(state) {
    this.area.open(state);
    this.reset();
  }

  /** Nothing is held. */
  reset() {
    this.answer = ANSWERS[0];
    this.found = new Map(); // polygons in photo pixels, by handle
    this.waiting = new Map(); // handles, by the id of the request
  }

  /** Request the outline of what a handle holds; until it comes, the one before it stays. */
  ask(live, handle) {
    this.waiting.set(live.send("hold", { point: [...handle], answer: this.answer }), handle);
  }

  /** Take the station's outline; whether there is another one to be shown now. `handles` are those in use. */
  take({ id, outlines }, handles) {
    const handle = this.waiting.get(id);
    this.waiting.delete(id);
    if (!handles.includes(handle) || !outlines[this.answer]) return false;
    this.found.set(handle, outlines[this.answer]);
    for (const known of this.found.keys()) if (!handles.includes(known)) this.found.delete(known);
    this.area.fill([...this.found.values()].flat());
    return true;
  }

  /** Mean the next of the answers. */
  next() {
    this.answer = ANSWERS[(ANSWERS.indexOf(this.answer) + 1) % ANSWERS.length];
  }

  /** Whether a point of the photo lies in the outline. */
  holds = (point) => this.found.size > 0 && this.area.holds(point);
}
