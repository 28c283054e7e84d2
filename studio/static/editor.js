// The editing screen: tools, edits, results and their verdicts.

import { Area } from "./area.js";
import { Live } from "./api.js";
import { Choices } from "./choices.js";
import { handleKey, listenToButtons } from "./controls.js";
import { Edits } from "./edits.js";
import { SHAPES } from "./field.js";
import { listen } from "./gestures.js";
import { drawOverlay } from "./overlay.js";
import { Pace } from "./pace.js";
import { Painting } from "./painting.js";
import { Pulls, isPin } from "./pulls.js";
import { Stage } from "./stage.js";
import { Strokes } from "./strokes.js";
import { hideVerdict, reword, showVerdict } from "./verdict.js";
import { View } from "./view.js";
import { t } from "./words.js";

const $ = (id) => document.getElementById(id);
const PATIENCE = 50; // milliseconds that an arrow's drawing waits for the preview that belongs to it
const MOST_DRAFTED = 1280; // pixels of the longer side, of a result at the screen's size
const BRUSHES = ["paint", "erase", "protect", "restore"];

/** Whether the station makes an edit by now, so that an undo comes after it. */
const isMade = (edit) => Boolean(edit?.drafted || (edit?.stroke && edit.id !== undefined));

export class Editor {
  /** `callbacks`: toast(text), lost(whether), changed(), closed(code). */
  constructor(callbacks) {
    this.callbacks = callbacks;
    this.view = new View();
    this.area = new Area();
    this.stage = new Stage($("picture"));
    this.edits = new Edits((edit) => this.send(edit), () => {
      callbacks.toast(t("error_too_busy"));
      this.over();
    });
    this.painting = new Painting(this);
    this.strokes = new Strokes(this);
    this.pulls = new Pulls(this);
    this.pace = new Pace();
    this.choices = new Choices((choice) => this.takeAnother(choice));
    this.reset();
    new ResizeObserver(() => this.resize()).observe($("stage"));
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.resize());
    this.on = this.gestures();
    listen($("overlay"), this.on);
    listenToButtons(this);
    $("overlay").addEventListener("keydown", (event) => handleKey(this, event));
  }

  reset() {
    this.tool = "pull";
    this.several = false; // arrows are collected until Apply
    $("several").setAttribute("aria-pressed", "false");
    this.retrying = false;
    this.edits.clear();
    this.pulls.reset();
    this.painting.reset();
    this.strokes.reset();
    this.marks = []; // boxes of the photo where a result is bad
    this.last = null; // the last edit that was made: what it asked for
    this.cross = this.pointer = null;
    this.patched = Promise.resolve();
    this.comparing = false;
    this.split = 0; // share of the screen, from the left, that shows the photo as it was opened
    this.state = null;
  }

  gestures() {
    const { pulls, view } = this;
    return {
      start: (at) => {
        if (!this.state || !this.live?.open) return;
        this.pointer = at;
        this.hideOutcome();
        this.part(0);
        if (this.brush) this.brush.start(at);
        else if (!view.holds(at)) return;
        else if (this.tool === "pin") pulls.pin(view.toPhoto(at), at);
        else this.take(view.toPhoto(at), at);
      },
      move: (at) => {
        this.pointer = at;
        if (this.brush?.stroke) this.brush.move(at);
        else if (pulls.pull) pulls.pullTo(view.toPhoto(at));
      },
      end: () => {
        if (this.brush?.stroke) this.brush.end();
        else if (pulls.pull) pulls.release();
      },
      stop: () => this.stop(),
      pair: (at) => view.holds(at) && pulls.pairStart(view.toPhoto(at)),
      pairMove: (one, two) => pulls.second && pulls.pairMove(view.toPhoto(one), view.toPhoto(two)),
      pairEnd: () => pulls.second && pulls.pairEnd(),
      pinch: (from, to, factor) => {
        view.move(from, to, factor);
        this.redraw();
      },
      hover: (at) => {
        this.pointer = at;
        if (this.brush) this.redraw();
      },
    };
  }

  /** Show a session's photo; whether an edit was lost that was on its way when the connection was. */
  async open(session, state) {
    const lost = Boolean(this.edits.current || this.strokes.stroke);
    this.live?.close();
    this.reset();
    this.progress(null);
    this.session = session;
    this.setState(state);
    this.area.open(state);
    this.stage.clear();
    await this.painting.open(state);
    const [now, before] = await Promise.all([session.view(), session.view(true)].map(async (blob) => createImageBitmap(await blob)));
    this.resize();
    this.view.open(state);
    this.stage.show("picture", now);
    this.stage.show("before", before);
    this.connect();
    this.choose("pull");
    this.hideOutcome();
    await this.live?.ready; // a touch before that would be lost
    return lost;
  }

  connect() {
    this.live = new Live(this.session, {
      preview: (frame) => this.preview(frame),
      hold: (message) => this.pulls.outlined(message),
      progress: ({ id, step, steps }) => this.edits.isCurrent(id) && this.progress((step + 1) / (steps + 1)),
      draft: (frame) => this.drafted(frame),
      result: (frame) => this.result(frame),
      answer: (frame) => this.pulls.pull || this.choices.add(frame),
      undo: (frame) => this.stepped(frame),
      redo: (frame) => this.stepped(frame),
      restore: (frame) => this.stepped(frame),
      stroke: (frame) => this.stroked(frame),
      flow: (frame) => this.strokes.take(frame),
      busy: (message) => {
        this.pulls.outlined(message);
        if (this.edits.again(message)) this.callbacks.toast(t("error_busy"));
      },
      cancelled: ({ id }) => this.edits.finish(id) && this.over(),
      error: (message) => this.failed(message),
      lost: (lost) => this.callbacks.lost(lost),
      closed: (code) => this.callbacks.closed(code),
    });
  }

  /** Forget the photo. */
  leave() {
    this.live?.close();
    this.live = null;
    this.hideOutcome();
    this.stage.clear();
    for (const area of [this.area, this.painting.shield, this.painting.back]) area.wipe();
    this.reset();
    performance.clearMarks();
    performance.clearMeasures();
    $("overlay").getContext("2d").clearRect(0, 0, 1e5, 1e5);
  }

  setState(state) {
    this.state = state;
    $("undo").disabled = !state.undo;
    $("undo").dataset.count = state.undo;
    $("redo").disabled = !state.redo;
    $("compare").disabled = $("original").disabled = !state.undo;
    $("slider").hidden = !state.undo;
  }

  resize() {
    const { width, height } = $("stage").getBoundingClientRect();
    if (!width || !height) return;
    const ratio = Math.min(devicePixelRatio, 2);
    const size = [width, height].map((length) => Math.round(length * ratio));
    this.stage.resize(...size);
    [$("overlay").width, $("overlay").height] = size;
    this.stage.surround = getComputedStyle(document.documentElement).getPropertyValue("--ground").trim();
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
      clearTimeout(this.later);
      this.later = null;
      if (!this.state) return;
      const begun = performance.now();
      this.stage.draw(this.view, this.comparing ? 1 : this.split);
      const brush = this.brush && this.pointer && this.painting.brush(this.pointer);
      const arrows = [...this.edits.waiting.flatMap(({ drags = [], drafted }) => (drafted ? [] : drags).filter((arrow) => !isPin(arrow))), ...this.pulls.all()];
      const { shield, back } = this.painting;
      const over = { arrows, marks: this.marks, pins: this.pulls.pins, tints: [shield, back].filter(({ own }) => own), brush, cross: this.cross };
      drawOverlay($("overlay"), this.view, this.comparing ? { cross: this.cross } : over);
      if (this.previewIsNew) this.pace.drawn(begun);
      this.previewIsNew = false;
    });
  }

  /** Redraw with the next preview, or without one that takes long: where there is no graphics card, drawing is dear. */
  redrawLater() {
    this.later ??= setTimeout(() => this.redraw(), PATIENCE);
  }

  /** Whether arrows wait for Apply. */
  get collecting() {
    return this.several || this.retrying;
  }

  take(point, at) {
    this.hideOutcome();
    this.hint("");
    this.pulls.take(point, at);
  }

  stop() {
    this.painting.stroke = null;
    this.pulls.stop();
    this.strokes.stop();
    this.refresh();
  }

  preview(frame) {
    if (!this.pulls.all().length || this.strokes.all.length) return;
    this.stage.move({ ...frame, nearest: this.pace.hurried });
    this.pace.came(frame);
    this.previewIsNew = true;
    this.redraw();
  }

  /** End the preview. */
  endPreview() {
    this.live?.dropPreviews();
    this.strokes.rebuild();
    this.stage.rest();
    this.pace.rest();
    this.redraw();
  }

  /** Ask for an edit by the arrows; it waits for those that were asked for before. */
  commit(more = {}) {
    performance.mark("release");
    this.edits.add({ ...this.pulls.request(), motion_only: false, seed: null, painted: this.area.own, ...more });
    this.live.dropPreviews();
    this.pulls.arrows = [];
    this.pulls.motion = "auto";
    this.pulls.forget();
    this.retrying = false;
    if (this.area.own) {
      this.area.wipe(); // the edit takes it along
      this.stage.cover(null);
    }
  }

  async send(edit) {
    this.progress(0.05);
    await this.painting.saved;
    if (this.edits.current !== edit) return undefined; // cancelled meanwhile
    if (edit.stroke) {
      const { brush, path, radius } = edit.stroke;
      return this.live?.send("stroke", { brush, path, radius });
    }
    const { drags, motion, answer, motion_only, seed } = edit;
    return this.live?.send("edit", { drags, motion, answer, motion_only, seed, screen: this.screen });
  }

  /** How many of the screen's pixels the longer side of the photo takes where all of it is shown. */
  get screen() {
    const { view } = this, ratio = $("overlay").width / view.stage.width;
    return Math.round(Math.min(Math.max(Math.max(view.width, view.height) * view.least * ratio, 64), MOST_DRAFTED));
  }

  /** Show a part of the picture that the station has changed, in the order of the changes: decoding takes its time. */
  patch(frame) {
    this.patched = this.patched.then(() => this.patchNow(frame));
    return this.patched;
  }

  async patchNow(frame) {
    const bitmap = await createImageBitmap(new Blob([frame.payload], { type: "image/png" }));
    if (!this.state) return false;
    this.stage.patch(frame.box, bitmap);
    this.setState(frame.state);
    return true;
  }

  /** An edit at the screen's size, until all pixels of the photo are made. */
  async drafted({ id, box, payload }) {
    const bitmap = await createImageBitmap(new Blob([payload], { type: "image/jpeg" }));
    await this.patched;
    if (!this.state || !this.edits.isCurrent(id)) return;
    this.edits.current.drafted = true;
    this.stage.draft(box, bitmap);
    if (!this.pulls.all().length) this.endPreview();
    this.redraw();
    this.shown("release to result", "release");
  }

  async result(frame) {
    if (!(await this.patch(frame))) return;
    const edit = this.edits.finish(frame.id);
    if (!edit) return this.undoing || this.redraw(); // finished before it could be cancelled
    this.last = edit;
    this.callbacks.changed();
    this.over();
    if (!this.pulls.pull && !this.strokes.stroke && !this.edits.current) this.showOutcome(frame, edit);
    if (frame.warnings.length) this.callbacks.toast(t(`warning_${frame.warnings[0].code}`));
    this.refresh();
    if (!edit.drafted) this.shown("release to result", "release");
    this.shown("release to made", "release");
  }

  /** A stroke of a brush is made. */
  async stroked(frame) {
    if (!(await this.patch(frame))) return;
    this.edits.finish(frame.id);
    this.callbacks.changed();
    this.over();
    this.refresh();
    this.shown("release to result", "release");
    this.shown("release to made", "release");
  }

  /** Measure the time from a mark until what is drawn now is on the screen. */
  shown(name, since) {
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (performance.getEntriesByName(since).length) performance.measure(name, since);
    }));
  }

  /** The verdict, the place that is bad, and other answers. */
  showOutcome(frame, edit) {
    this.marks = frame.verdict === "bad" ? frame.boxes.filter(Boolean).slice(0, 1) : [];
    showVerdict(frame, edit.motion_only);
    if (!edit.motion_only && !edit.chosen) this.choices.begin(this.live.send("answers"));
  }

  hideOutcome() {
    hideVerdict();
    this.choices.hide();
    this.marks = [];
    this.redraw();
  }

  failed({ id, code, detail }) {
    this.pulls.outlined({ id });
    const edit = this.edits.finish(id);
    if (id !== null && !edit) return;
    if (edit) this.over();
    this.callbacks.toast(code === "unusable" ? this.refusal(edit, detail) : t("error_failed"));
    this.refresh();
  }

  refusal(edit, detail) {
    if (!edit?.stroke) return t("error_pull", { detail });
    return t(edit.stroke.brush === "smooth" ? "nothing_to_smooth" : "nothing_moved");
  }

  /** An edit is finished or cancelled: what its preview showed makes room, unless a finger pulls again. */
  over() {
    this.stage.draft(null);
    if (!this.edits.current) this.progress(null);
    if (!this.pulls.all().length) this.endPreview();
    else {
      this.strokes.rebuild();
      this.pulls.preview();
    }
    this.strokes.ask();
  }

  /** Undo the edit and restore its arrows and area to be corrected. */
  async retry() {
    this.hideOutcome();
    this.live.send("undo");
    this.restore();
    this.retrying = true;
    await this.painting.fetch();
    this.choose("paint");
    this.pulls.preview();
  }

  /** Replace the generator's result by what the preview showed. */
  async keepPreview() {
    this.choices.hide();
    await this.instead({ motion_only: true });
  }

  /** Replace the result by another answer to the same arrows. */
  takeAnother(choice) {
    return this.instead({ ...choice, chosen: true });
  }

  async instead(more) {
    hideVerdict();
    this.marks = [];
    this.live.send("undo");
    this.restore();
    if (this.last.painted) await this.painting.fetch();
    this.commit(more);
    this.refresh();
  }

  /** The last edit's arrows once more. */
  restore() {
    this.pulls.arrows = this.last.drags.filter((arrow) => !isPin(arrow)).map((arrow) => arrow.map((point) => [...point]));
    this.pulls.motion = this.last.motion;
    this.pulls.hold.answer = this.last.answer;
  }

  async stepped(frame) {
    this.undoing = false;
    this.callbacks.changed();
    if (frame.type === "restore") this.painting.back.wipe();
    if (await this.patch(frame)) this.refresh();
  }

  /** Undo or redo; an edit that is still on its way is what an undo takes back. */
  back(which) {
    this.hideOutcome();
    const waited = this.edits.current, made = which === "undo" && isMade(waited);
    this.clear();
    this.stage.draft(null);
    this.undoing = made; // its result comes before the undo's
    if (!waited || made) this.live.send(which);
  }

  /** All as it was opened, at once; an undo takes it back. */
  original() {
    this.hideOutcome();
    this.clear();
    this.live.send("restore");
  }

  /** Forget arrows and area, and the edits that are on their way; with `everything` pins and protection too. */
  clear(everything = false) {
    const dropped = this.edits.clear();
    if (dropped.length && !dropped[0].stroke && !dropped[0].drafted) this.live.send("cancel"); // those take a moment only
    if (this.area.own || dropped.some(({ painted }) => painted)) this.painting.drop();
    if (everything && this.painting.shield.own) this.painting.dropShield();
    const { pins } = this.pulls;
    this.pulls.reset();
    if (!everything) this.pulls.pins = pins;
    this.pulls.forget();
    this.retrying = false;
    this.strokes.lift();
    this.progress(null);
    this.endPreview();
    this.refresh();
  }

  /** What the tool's brush draws with: null where it is none. */
  get brush() {
    return SHAPES.includes(this.tool) ? this.strokes : BRUSHES.includes(this.tool) ? this.painting : null;
  }

  zoom(factor) {
    const middle = { x: this.view.stage.width / 2, y: this.view.stage.height / 2 };
    if (factor) this.view.move(middle, middle, factor);
    else this.view.fit();
    this.redraw();
  }

  choose(tool) {
    if (this.strokes.stroke) this.strokes.end();
    this.tool = tool;
    for (const name of ["pull", "pin", ...BRUSHES, ...SHAPES]) $(`tool-${name}`).setAttribute("aria-checked", name === tool);
    for (const [name, draws] of [["brush", this.painting], ["shape", this.strokes]]) {
      $(`tool-${name}`).setAttribute("aria-checked", this.brush === draws);
      $(`${name}-kinds`).hidden = this.brush !== draws;
    }
    $("brushes").hidden = !this.brush;
    this.refresh();
  }

  /** Update texts and buttons; the keyboard's focus does not go where nothing is. */
  refresh() {
    reword();
    this.choices.relabel();
    const { arrows, chosen, hold } = this.pulls;
    $("apply").hidden = !(this.collecting && arrows.length);
    $("clear").disabled = ![arrows.length, this.pulls.pins.length, this.area.own, this.painting.shield.own, this.edits.current].some(Boolean);
    const focused = document.activeElement;
    if (focused === document.body || focused.disabled) $("overlay").focus({ preventScroll: true });
    if (chosen) return this.say(`hint_${hold.answer}`);
    const key = this.comparing ? "hint_before" : this.retrying ? "hint_retry" : this.tool !== "pull" ? `hint_${this.tool}` : this.several ? "hint_several" : "hint_pull";
    this.hint(this.state?.undo && key === "hint_pull" ? "" : t(key));
    this.redraw();
  }

  /** Show the photo as it was opened in a share of the screen, from the left. */
  part(share) {
    this.split = share;
    $("split").value = share * 100;
    this.redraw();
  }

  /** Show a text of a key. */
  say(key) {
    this.hint(t(key));
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
