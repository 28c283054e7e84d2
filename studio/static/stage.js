// Draws the photo: where the view places it, warped by the preview's motion field, with an area tinted.
// While only the preview changes, only its part of the canvas is drawn anew: many kiosks have no graphics card.

import { OUTLINE, fromHalves, tint, warp } from "./warp.js";

const SHRUNK = 0.45; // screen pixels of a view pixel, below which smaller copies of the photo are drawn: they cost time
const BESIDE = 0.5; // of the canvas, around it: what a motion may fetch into a photo that is larger than the screen
const MOST_MOVING = 1.5e6; // pixels of the canvas while something moves: on fine screens it is coarser then
const RESTED = 100; // milliseconds without a change of what is shown, after which a motion is prepared for
const NONE = 0.01; // photo pixels; a flow below moves nothing
const EDGE = 4; // pixels of the canvas around a part of the photo that is drawn: what moves or is outlined there ends in them

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.pictures = Object.fromEntries(["picture", "before"].map((name) => [name, blank(1, 1)]));
    this.full = [canvas.width, canvas.height];
    this.clear();
  }

  /** The size that the canvas has while nothing moves. */
  resize(width, height) {
    this.full = [width, height];
  }

  /** Take the colour beside the photo from the page. */
  set surround(colour) {
    this.ground = colour;
    this.anew();
  }

  /** Clear the stage; nothing of the photo remains. */
  clear() {
    clearTimeout(this.later);
    for (const pen of Object.values(this.pictures)) pen.canvas.width = pen.canvas.height = 1;
    this.motion = this.area = null;
    this.draft(null);
    this.anew();
  }

  /** All is to be drawn, as the photo or its place on the screen is another one. */
  anew() {
    this.drawn = null; // what the canvas shows: the motion, and its part
    this.still = null; // the photo on the screen without motion
  }

  /** Put a whole picture in, an ImageBitmap, as "picture" or "before". */
  show(name, bitmap) {
    const pen = this.pictures[name];
    [pen.canvas.width, pen.canvas.height] = [bitmap.width, bitmap.height];
    pen.drawImage(bitmap, 0, 0);
    bitmap.close();
    this.anew();
  }

  /** Replace a part of the picture: left, top, width, height. */
  patch(box, bitmap) {
    this.pictures.picture.drawImage(bitmap, ...box);
    bitmap.close();
    this.draft(null);
    this.anew();
  }

  /** Show a part of it as it is about to become, or, of null, as it is: left, top, width, height. */
  draft(box, bitmap) {
    if (box || this.about) this.anew();
    this.about?.bitmap.close();
    this.about = box && { box, bitmap };
  }

  /** Warp by a preview's frame. */
  move({ box, grid: [w, h], payload, nearest = false }) {
    const flow = fromHalves(payload, 2 * w * h), inside = new Uint8Array(payload, w * h * 4, w * h);
    this.motion = { box, grid: [w, h], flow, inside, nearest, part: extent(box, w, h, flow) };
  }

  /** Warp by a field that the page itself computed (field.js); of one that is shown already, only its fresh cells change. */
  bend(field) {
    const [w, h] = field.grid, known = this.motion?.field === field, flow = field.veiled;
    if (!known && this.motion?.field) this.drawn = null; // only the newest part of that is known
    const cells = known && this.motion.waits ? join(this.motion.cells, field.fresh) : field.fresh; // not drawn yet
    this.motion = { box: field.box, grid: field.grid, flow, field, cells, waits: true, part: around(field.box, w, h, cells) };
    field.fresh = null;
  }

  rest() {
    if (this.motion?.field) this.drawn = null; // only its newest part is known
    this.motion = null;
  }

  /** Tint what an area's `canvas` shows white, or a `path` in a `box`, both in photo pixels, which the preview's motion takes along. */
  cover(area) {
    const parts = [this.area, area].filter(Boolean).map(({ box }) => box);
    if (!parts.length) return;
    this.area = area && { canvas: area.canvas, path: area.path, box: area.box };
    if (this.drawn?.part) parts.push(this.drawn.part);
    this.drawn = this.drawn && parts.every(Boolean) ? { motion: undefined, part: parts.reduce(join) } : null; // no motion is this one
    if (this.still) this.still.area = this.still.tinted = null;
  }

  /** Draw the photo as `view` places it, and in a share of the canvas, from the left, what it was before all edits. */
  draw(view, split) {
    const { canvas, full } = this, share = this.motion ? Math.min(Math.sqrt(MOST_MOVING / (full[0] * full[1])), 1) : 1;
    const [width, height] = full.map((length) => Math.round(length * share));
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const ratio = width / view.stage.width;
    const place = [view.x * ratio, view.y * ratio, view.scale * ratio];
    const shows = [...place, split, canvas.width, canvas.height].join();
    if (shows !== this.shows) this.anew();
    this.shows = shows;
    if (this.drawn?.motion === this.motion) return;
    const parts = split || !this.drawn ? null : [this.drawn.part, this.motion?.part].filter(Boolean);
    if (!this.still) this.paint(this.pen, "picture", place);
    if (this.still || this.motion || this.area) this.put(place, view.k, parts);
    if (split) this.paintBefore(place, split);
    this.drawn = { motion: this.motion, part: this.motion?.part };
    if (this.motion) this.motion.waits = false;
    clearTimeout(this.later);
    if (!this.still) this.later = setTimeout(() => this.look(place, view.k), RESTED); // a touch is likely to need it
  }

  /** Draw a picture, and the colour beside it. */
  paint(pen, name, [x, y, scale]) {
    const { canvas } = this.pictures[name];
    pen.fillStyle = this.ground;
    pen.fillRect(0, 0, pen.canvas.width, pen.canvas.height);
    pen.imageSmoothingQuality = scale < SHRUNK ? "medium" : "low";
    pen.drawImage(canvas, x, y, canvas.width * scale, canvas.height * scale);
    if (name !== "picture" || !this.about) return;
    const [left, top, width, height] = this.about.box;
    pen.drawImage(this.about.bitmap, x + left * scale, y + top * scale, width * scale, height * scale);
  }

  paintBefore(place, split) {
    const { pen, canvas } = this;
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, Math.round(split * canvas.width), canvas.height);
    pen.clip();
    this.paint(pen, "before", place);
    pen.restore();
  }

  /** Draw the photo with motion and tinted area, in some parts of the photo or in all that the canvas shows of it. */
  put([x, y, scale], k, parts) {
    const { left, top, size, plain, tinted, area, out } = this.look([x, y, scale], k), { canvas, motion } = this;
    const pixels = new Int32Array(out.data.buffer), corner = [x - left, y - top];
    let part = meet([-left, -top, canvas.width - left, canvas.height - top], [0, 0, ...size]);
    if (parts) part = meet(part, onScreen(parts.reduce(join), corner, scale / k));
    if (part[0] >= part[2] || part[1] >= part[3]) return;
    if (motion) warp(tinted ?? plain, pixels, size, part, motion, [...corner, scale / k]);
    else copy(tinted ?? plain, pixels, size[0], part);
    if (area) tint(pixels, pixels, size, part, area);
    this.pen.putImageData(out, left, top, part[0], part[1], part[2] - part[0], part[3] - part[1]);
  }

  /** The photo as it lies on the screen and around it, and the area there. */
  look([x, y, scale], k) {
    const { canvas } = this, photo = this.pictures.picture.canvas;
    if (!this.still) {
      const beside = [canvas.width, canvas.height].map((length) => Math.round(length * BESIDE));
      const all = [x, y, x + photo.width * scale, y + photo.height * scale].map(Math.round);
      const [left, top, right, bottom] = meet(all, [-beside[0], -beside[1], canvas.width + beside[0], canvas.height + beside[1]]);
      const size = [Math.max(right - left, 1), Math.max(bottom - top, 1)], pen = blank(...size);
      this.paint(pen, "picture", [x - left, y - top, scale]);
      this.still = { left, top, size, pen, plain: words(pen), out: new ImageData(...size) };
    }
    if (this.area?.canvas && !this.still.area) this.spread([x, y, scale]);
    if (this.area?.path && !this.still.tinted) this.outline([x, y], scale / k);
    return this.still;
  }

  /** Bring the painted area to the photo on the screen. */
  spread([x, y, scale]) {
    const { left, top, pen } = this.still, { width, height } = this.pictures.picture.canvas;
    pen.drawImage(this.area.canvas, x - left, y - top, width * scale, height * scale);
    const white = words(pen);
    this.still.area = new Uint8Array(white.length);
    for (let i = 0; i < white.length; i++) this.still.area[i] = white[i];
  }

  /** Draw the path into the photo on the screen: the browser's own drawing, as the first outline is to come at once. */
  outline([x, y], scale) {
    const { left, top, size, pen, plain } = this.still, { path, box } = this.area, corner = [x - left, y - top];
    const [from, above, to, below] = meet(onScreen(box, corner, scale), [0, 0, ...size]);
    this.still.tinted = plain.slice();
    if (from >= to || above >= below) return;
    const photo = new ImageData(new Uint8ClampedArray(plain.buffer), ...size);
    pen.putImageData(photo, 0, 0, from, above, to - from, below - above);
    pen.setTransform(scale, 0, 0, scale, ...corner.map((at) => at + scale / 2));
    pen.fillStyle = OUTLINE.fill;
    pen.fill(path);
    pen.strokeStyle = OUTLINE.rim;
    pen.lineWidth = OUTLINE.width / scale;
    pen.lineJoin = "round";
    pen.stroke(path);
    pen.resetTransform();
    const drawn = new Int32Array(pen.getImageData(from, above, to - from, below - above).data.buffer);
    for (let v = above; v < below; v++) {
      this.still.tinted.set(drawn.subarray((v - above) * (to - from), (v - above + 1) * (to - from)), v * size[0] + from);
    }
  }
}

/** A canvas's pixels. */
const words = (pen) => new Int32Array(pen.getImageData(0, 0, pen.canvas.width, pen.canvas.height).data.buffer);

/** The pen of a canvas that is not shown. */
function blank(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return canvas.getContext("2d", { alpha: false, willReadFrequently: true });
}

function copy(from, to, width, [left, top, right, bottom]) {
  for (let row = top; row < bottom; row++) to.set(from.subarray(row * width + left, row * width + right), row * width + left);
}

/** Where a motion field moves anything: left, top, right, bottom in photo pixels, a cell of the grid more around. */
function extent(box, w, h, flow) {
  let [left, top, right, bottom] = [w, h, 0, 0]; // the last ones included
  for (let i = 0; i < w * h; i++) {
    if (Math.abs(flow[2 * i]) < NONE && Math.abs(flow[2 * i + 1]) < NONE) continue;
    const column = i % w, row = (i / w) | 0;
    left = Math.min(left, column), right = Math.max(right, column);
    top = Math.min(top, row), bottom = Math.max(bottom, row);
  }
  return around(box, w, h, [left, top, right + 1, bottom + 1]);
}

/** Cells of a grid as left, top, right, bottom in photo pixels, a cell more around. */
function around([x, y, width, height], w, h, [left, top, right, bottom]) {
  return [x + ((left - 1) * width) / w, y + ((top - 1) * height) / h, x + ((right + 1) * width) / w, y + ((bottom + 1) * height) / h];
}

/** What a part of the photo takes of the screen, in whole pixels, where the photo has its corner and a scale. */
const onScreen = (part, corner, scale) => part.map((at, i) => (i < 2 ? Math.floor(corner[i] + at * scale) - EDGE : Math.ceil(corner[i - 2] + at * scale) + EDGE));

const join = (a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
const meet = (a, b) => [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])];
