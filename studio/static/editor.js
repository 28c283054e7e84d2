// The editing screen: pulls, the area, results and their verdicts.

import { Area } from "./area.js";
import { Live, ApiError } from "./api.js";
import { listenToButtons, handleKey } from "./controls.js";
import { listen } from "./gestures.js";
import { drawOverlay } from "./overlay.js";
import { Stage } from "./stage.js";
import { hideVerdict, showVerdict } from "./verdict.js";
import { t } from "./words.js";
import { View } from "./view.js";

const $ = (id) => document.getElementById(id);
const SHORTEST = 8; // screen pixels; a shorter pull is taken for a tap
const GRIP = 36; // screen pixels around an arrow's tip where a finger takes hold of it
const BRUSH = 26; // radius, screen pixels
const TRIES = 8; // of an edit while the station is busy

export class Editor {
  /** `callbacks`: toast(text), closed(code). */
  constructor(callbacks) {
    this.callbacks = callbacks;
    this.view = new View();
    this.area = new Area();
    this.stage = new Stage($("picture"));
    this.reset();
    new ResizeObserver(() => this.resize()).observe($("stage"));
    listen($("overlay"), {
      start: (at) => this.start(at),
      move: (at) => this.move(at),
      end: (at) => this.end(at),
      stop: () => this.stop(),
      pinch: (from, to, factor) => {
        this.view.move(from, to, factor);
        this.redraw();
      },
      hover: (at) => {
        this.pointer = at;
        if (this.tool !== "pull") this.redraw();
      },
    });
    listenToButtons(this);
    $("overlay").addEventListener("keydown", (event) => handleKey(this, event));
  }

  reset() {
    this.tool = "pull";
    this.several = false; // arrows are collected until Apply
    $("several").setAttribute("aria-pressed", "false");
    this.arrows = [];
    this.pull = null; // the arrow under the finger
    this.last = null; // the last edit: its arrows, and whether its area was painted
    this.pending = null; // the edit that the station works on
    this.cross = this.pointer = this.stroke = null;
    this.saved = Promise.resolve(); // resolves when the station has the painted area
    this.comparing = false;
    this.state = null;
  }

  /** Show a session's photo. */
  async open(session, state) {
    this.reset();
    this.session = session;
    this.setState(state);
    this.area.open(state);
    this.stage.clear();
    const [now, before] = await Promise.all([session.view(), session.view(true)].map(async (blob) => createImageBitmap(await blob)));
    this.resize();
    this.view.open(state);
    this.stage.show("picture", now);
    this.stage.show("before", before);
    this.connect();
    this.choose("pull");
    hideVerdict();
    this.redraw();
  }

  connect() {
    this.live = new Live(this.session, {
      preview: (frame) => this.preview(frame),
      progress: ({ id, step, steps }) => id === this.pending?.id && this.progress((step + 1) / (steps + 1)),
      result: (frame) => this.result(frame),
      undo: (frame) => this.stepped(frame),
      redo: (frame) => this.stepped(frame),
      busy: (message) => this.busy(message),
      cancelled: ({ id }) => id === this.pending?.id && this.over(),
      error: (message) => this.failed(message),
      closed: (code) => this.callbacks.closed(code),
    });
  }

  /** Forget the photo. */
  leave() {
    this.live?.close();
    this.live = null;
    hideVerdict();
    clearTimeout(this.again);
    this.stage.clear();
    this.area.wipe();
    this.reset();
    performance.clearMarks();
    performance.clearMeasures();
    $("overlay").getContext("2d").clearRect(0, 0, 1e5, 1e5);
  }

  setState(state) {
    this.state = state;
    $("undo").disabled = !state.undo;
    $("redo").disabled = !state.redo;
    $("compare").disabled = !state.undo;
  }

  resize() {
    const { width, height } = $("stage").getBoundingClientRect();
    if (!width || !height) return;
    const ratio = Math.min(devicePixelRatio, 2);
    for (const canvas of [$("picture"), $("overlay")]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.stage.drawn = null;
    const whole = this.view.scale <= this.view.least * 1.001;
    this.view.stage = { width, height };
    if (whole) this.view.fit();
    else this.view.settle();
    this.redraw();
  }

  redraw() {
    if (this.drawing || !this.state) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = null;
      if (!this.state) return;
      this.stage.draw(this.view, this.comparing);
      const brush = this.tool !== "pull" && this.pointer && { ...this.pointer, radius: BRUSH };
      drawOverlay($("overlay"), this.view, { arrows: this.comparing ? [] : this.all(), brush, cross: this.cross });
      if (this.fresh) performance.mark("preview frame");
      this.fresh = false;
    });
  }

  all() {
    return this.pull ? [...this.arrows, this.pull] : this.arrows;
  }

  get collecting() {
    return this.several || this.retrying;
  }

  // Pulling

  start(at) {
    if (!this.state || !this.live) return;
    this.pointer = at;
    if (this.tool !== "pull") return this.startStroke(at);
    if (!this.view.holds(at)) return;
    this.take(this.view.toPhoto(at), at);
  }

  /** Take hold of the photo at a point, or of the tip of an arrow that is there. */
  take(point, at) {
    if (this.pending) this.live.send("cancel");
    this.over();
    hideVerdict();
    this.hint("");
    const near = this.arrows.findLastIndex(([, target]) => {
      const tip = this.view.toScreen(target);
      return Math.hypot(tip.x - at.x, tip.y - at.y) < GRIP;
    });
    if (near >= 0) this.pull = [this.arrows.splice(near, 1)[0][0], point];
    else {
      if (!this.collecting) this.arrows = [];
      this.pull = [point, point];
      if (this.area.own && !this.area.holds(point)) this.dropArea(t("area_left"));
    }
    this.requestPreview();
  }

  move(at) {
    this.pointer = at;
    if (this.stroke) return this.moveStroke(at);
    if (this.pull) this.pullTo(this.view.toPhoto(at));
  }

  pullTo(point) {
    this.pull[1] = point;
    this.requestPreview();
  }

  end(at) {
    if (this.stroke) return this.endStroke();
    if (!this.pull) return;
    this.pull[1] = this.view.toPhoto(at);
    this.release();
  }

  release() {
    const [from, to] = this.pull.map((point) => this.view.toScreen(point));
    const short = Math.hypot(from.x - to.x, from.y - to.y) < SHORTEST;
    if (!short) this.arrows.push(this.pull);
    this.pull = null;
    if (this.arrows.length && (this.collecting || short)) this.requestPreview();
    else if (this.arrows.length) this.commit();
    else this.endPreview();
    this.refresh();
    if (short) this.hint(t("too_short"));
  }

  stop() {
    this.stroke = null;
    this.pull = null;
    if (this.arrows.length) this.requestPreview();
    else this.endPreview();
    this.redraw();
  }

  /** Request a preview of all arrows. */
  requestPreview() {
    const arrows = this.all();
    if (arrows.length) this.saved.then(() => this.live?.preview(arrows));
    this.redraw();
  }

  preview(frame) {
    if (!this.all().length) return;
    this.stage.move(frame);
    if (this.area.own) this.stage.tint = 2;
    this.fresh = true;
    this.redraw();
  }

  /** End the preview. */
  endPreview() {
    this.live?.dropPreviews();
    this.stage.rest();
    this.redraw();
  }

  /** Request an edit by the arrows. */
  async commit({ motionOnly = false, tries = TRIES } = {}) {
    const drags = this.arrows.map((arrow) => arrow.map(([x, y]) => [x, y]));
    performance.mark("release");
    this.progress(0.05);
    const pending = (this.pending = { drags, motionOnly, tries, painted: this.area.own });
    this.live.dropPreviews();
    await this.saved;
    if (this.pending === pending) pending.id = this.live.send("edit", { drags, motion_only: motionOnly });
  }

  busy({ id, retry_after }) {
    if (id !== this.pending?.id) return;
    const { motionOnly, tries } = this.pending;
    if (!tries) return this.failed({ id, code: "busy" });
    this.callbacks.toast(t("error_busy"));
    this.again = setTimeout(() => this.pending && this.commit({ motionOnly, tries: tries - 1 }), retry_after * 1000);
  }

  async result(frame) {
    const bitmap = await createImageBitmap(new Blob([frame.payload], { type: "image/png" }));
    if (!this.state) return;
    this.stage.patch(frame.box, bitmap);
    this.setState(frame.state);
    const pending = this.pending;
    if (frame.id !== pending?.id) return this.redraw(); // finished before it could be cancelled
    this.last = { drags: pending.drags, painted: pending.painted };
    this.over();
    this.arrows = [];
    this.retrying = false;
    this.area.wipe();
    this.stage.cover(null);
    this.endPreview();
    showVerdict(frame, pending.motionOnly);
    if (frame.warnings.length) this.callbacks.toast(t(`warning_${frame.warnings[0].code}`));
    this.refresh();
    requestAnimationFrame(() => requestAnimationFrame(() => {
      performance.mark("shown");
      if (performance.getEntriesByName("release").length) performance.measure("release to result", "release", "shown");
    }));
  }

  failed({ id, code, detail }) {
    if (id !== null && id !== this.pending?.id) return;
    if (id !== null) {
      this.over();
      this.arrows = [];
      this.endPreview();
    }
    this.callbacks.toast(code === "unusable" ? t("error_pull", { detail }) : t(code === "busy" ? "error_busy" : "error_failed"));
    this.refresh();
  }

  /** The pending edit is finished or cancelled. */
  over() {
    clearTimeout(this.again);
    this.pending = null;
    this.progress(null);
  }

  // The area

  startStroke(at) {
    hideVerdict();
    if (!this.area.own && this.stage.motion) this.area.takeMotion(this.stage.motion);
    this.stroke = this.view.toPhoto(at);
    this.moveStroke(at);
  }

  moveStroke(at) {
    const to = this.view.toPhoto(at);
    this.area.stroke(this.stroke, to, (BRUSH / this.view.scale) * this.view.k, this.tool === "paint");
    this.stroke = to;
    this.stage.cover(this.area.canvas);
    this.redraw();
  }

  endStroke() {
    this.stroke = null;
    if (this.area.empty) return this.dropArea(t("area_empty"));
    this.sendArea();
    if (this.arrows.length) this.requestPreview();
    this.refresh();
  }

  /** Send the painted area, after the requests that are on their way. */
  sendArea() {
    this.saved = this.saved
      .then(async () => this.session.putMask(await this.area.file()))
      .catch((error) => this.callbacks.toast(t(error instanceof ApiError && error.status === 0 ? "error_offline" : "error_failed")));
    return this.saved;
  }

  dropArea(why) {
    if (why) this.callbacks.toast(why);
    this.area.wipe();
    this.stage.cover(null);
    this.saved = this.saved.then(() => this.session.dropMask()).catch(() => {});
    this.redraw();
  }

  /** Load the last edit's area to correct it. */
  async fetchArea() {
    this.area.takePicture(await createImageBitmap(await this.session.mask()));
    this.area.own = true;
    this.stage.cover(this.area.canvas);
    await this.sendArea();
  }

  // After a result

  /** Undo the edit and restore its arrows and area to be corrected. */
  async retry() {
    hideVerdict();
    this.live.send("undo");
    this.arrows = this.last.drags.map((arrow) => arrow.map((point) => [...point]));
    this.retrying = true;
    await this.fetchArea();
    this.choose("paint");
    this.requestPreview();
  }

  /** Replace the generator's result by what the preview showed. */
  async keepPreview() {
    hideVerdict();
    this.live.send("undo");
    this.arrows = this.last.drags;
    if (this.last.painted) await this.fetchArea();
    this.commit({ motionOnly: true });
  }

  async stepped(frame) {
    const bitmap = await createImageBitmap(new Blob([frame.payload], { type: "image/png" }));
    if (!this.state) return;
    this.stage.patch(frame.box, bitmap);
    this.setState(frame.state);
    this.refresh();
  }

  back(which) {
    hideVerdict();
    this.clear();
    this.live.send(which);
  }

  /** Forget arrows and area. */
  clear() {
    if (this.pending) this.live.send("cancel");
    this.over();
    this.arrows = [];
    this.retrying = false;
    if (this.area.own) this.dropArea();
    this.endPreview();
    this.refresh();
  }

  // Tools and texts

  zoom(factor) {
    const middle = { x: this.view.stage.width / 2, y: this.view.stage.height / 2 };
    if (factor) this.view.move(middle, middle, factor);
    else this.view.fit();
    this.redraw();
  }

  choose(tool) {
    this.tool = tool;
    for (const name of ["pull", "paint", "erase"]) $(`tool-${name}`).setAttribute("aria-checked", name === tool);
    this.refresh();
  }

  /** Update texts and buttons. */
  refresh() {
    $("apply").hidden = !(this.collecting && this.arrows.length) || Boolean(this.pending);
    $("clear").disabled = !this.arrows.length && !this.area.own;
    const key = this.comparing ? "hint_before" : this.retrying ? "hint_retry" : this.tool !== "pull" ? `hint_${this.tool}` : this.several ? "hint_several" : "hint_pull";
    this.hint(this.state?.undo && key === "hint_pull" ? "" : t(key));
    this.redraw();
  }

  hint(text) {
    $("hint").textContent = text;
  }

  progress(share) {
    $("progress").hidden = share === null;
    if (share !== null) $("progress").firstElementChild.style.transform = `scaleX(${share})`;
  }
}
