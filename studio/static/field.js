// The backward flow of brush strokes on a grid, for the preview: the same as runtime/drag/brush.py computes, dab by dab.

export const SHAPES = ["push", "grow", "shrink", "smooth"];
export const MAX_POINTS = 3000, MAX_DABS = 4000; // of a stroke: what the station takes in one message
const SPACING = 1 / 4, GROWTH = 0.045, SMOOTHING = 0.25, WIDTH = 1 / 3; // as in brush.py
const CELLS = 16, MAX_CELLS = 2 ** 19, MAX_SIDE = 2048; // of the grid: in a radius, in all, and along its longer side
const STEPS = 3, DAMPING = 0.01; // of Newton's method, for each dab of "smooth"

/** A stroke; points of its path, and its radius, are in photo pixels. */
export class Stroke {
  constructor(brush, point, radius) {
    this.brush = brush;
    this.radius = radius;
    this.path = [point];
    this.shown = null; // of "smooth": the station's frame of where the photo's pixels come from
  }
}

/** Goes along a stroke; gives its dabs, each as its centre and the way from the one before. */
export class Walk {
  constructor({ brush, radius, path: [first] }) {
    this.pushes = brush === "push";
    this.spacing = SPACING * radius;
    this.left = this.spacing; // until the next dab
    this.point = this.last = first;
    this.dabs = 0;
  }

  begin() {
    return this.pushes ? [] : [this.dab(this.point)];
  }

  /** The dabs up to a further point; where it is the same again, the brush rests. */
  to(point) {
    const [ax, ay] = this.point, length = Math.hypot(point[0] - ax, point[1] - ay), found = [];
    if (!length) return this.pushes ? found : [this.dab(point)];
    let done = 0;
    for (; length - done >= this.left; this.left = this.spacing) {
      done += this.left;
      found.push(this.dab([ax + ((point[0] - ax) * done) / length, ay + ((point[1] - ay) * done) / length]));
    }
    this.left -= length - done;
    this.point = point;
    return found;
  }

  dab(centre) {
    const way = this.pushes ? [centre[0] - this.last[0], centre[1] - this.last[1]] : [0, 0];
    this.last = centre;
    this.dabs += 1;
    return { centre, way };
  }

  /** What is left to the end of a push, or null. */
  rest() {
    const way = [this.point[0] - this.last[0], this.point[1] - this.last[1]];
    return this.pushes && (way[0] || way[1]) ? { centre: this.point, way } : null;
  }
}

export class Field {
  /** `box`: left, top, width, height in photo pixels; `radius`: of the smallest brush on it. */
  constructor(box, radius) {
    const pitch = Math.max(radius / CELLS, Math.sqrt((box[2] * box[3]) / MAX_CELLS), Math.max(box[2], box[3]) / MAX_SIDE);
    this.box = box;
    this.grid = [Math.ceil(box[2] / pitch), Math.ceil(box[3] / pitch)];
    this.pitch = [box[2] / this.grid[0], box[3] / this.grid[1]];
    this.data = new Float32Array(2 * this.grid[0] * this.grid[1]); // x, y in photo pixels
    this.shield = null; // RGBA of each cell: its alpha is how much is protected
    this.fresh = null; // the cells that changed since the last look: left, top, right, bottom
  }

  /** The flow as it is shown: none where the photo is protected; `fresh` cells are looked up again. */
  get veiled() {
    if (!this.shield) return this.data;
    this.shown ??= new Float32Array(this.data.length);
    const [left, top, right, bottom] = this.fresh;
    for (let row = top; row < bottom; row++) {
      for (let i = row * this.grid[0] + left; i < row * this.grid[0] + right; i++) {
        const free = 1 - this.shield[4 * i + 3] / 255;
        this.shown[2 * i] = this.data[2 * i] * free;
        this.shown[2 * i + 1] = this.data[2 * i + 1] * free;
      }
    }
    return this.shown;
  }

  /** Whether a dab at a place lies inside. */
  holds([x, y], radius) {
    const [left, top, width, height] = this.box;
    return x - radius >= left && y - radius >= top && x + radius <= left + width && y + radius <= top + height;
  }

  /** Make a dab of a stroke. */
  dab(stroke, { centre, way }) {
    const part = this.part(centre, stroke.radius);
    if (!part) return;
    if (stroke.brush === "smooth") this.smooth(stroke, centre, part);
    else this.move(centre, way, stroke.radius, { grow: GROWTH, shrink: -GROWTH }[stroke.brush] ?? 0, part);
    this.touch(part);
  }

  /** The cells that a dab reaches: left, top, right, bottom; null where there are none. */
  part(centre, radius) {
    const ends = [0, 1].map((axis) => {
      const cell = (at) => (at + 0.5 - this.box[axis]) / this.pitch[axis] - 0.5;
      return [Math.max(Math.ceil(cell(centre[axis] - radius)), 0), Math.min(Math.floor(cell(centre[axis] + radius)) + 1, this.grid[axis])];
    });
    const [[left, right], [top, bottom]] = ends;
    return left < right && top < bottom ? [left, top, right, bottom] : null;
  }

  touch([left, top, right, bottom]) {
    const [a, b, c, d] = this.fresh ?? [left, top, right, bottom];
    this.fresh = [Math.min(a, left), Math.min(b, top), Math.max(c, right), Math.max(d, bottom)];
  }

  /** A copy of a part and `around` cells more. */
  copy([left, top, right, bottom], around) {
    const x = Math.max(left - around, 0), y = Math.max(top - around, 0), w = Math.min(right + around, this.grid[0]) - x, h = Math.min(bottom + around, this.grid[1]) - y;
    const data = new Float32Array(2 * w * h);
    for (let row = 0; row < h; row++) data.set(this.data.subarray(2 * ((y + row) * this.grid[0] + x), 2 * ((y + row) * this.grid[0] + x + w)), 2 * row * w);
    return { x, y, w, h, data };
  }

  /** Put a copy back. */
  paste({ x, y, w, h, data }) {
    for (let row = 0; row < h; row++) this.data.set(data.subarray(2 * row * w, 2 * (row + 1) * w), 2 * ((y + row) * this.grid[0] + x));
    this.touch([x, y, x + w, y + h]);
  }

  /** Call `each(index of the cell, weight, x and y from the centre in photo pixels, column, row)` in a part. */
  weigh([cx, cy], radius, [left, top, right, bottom], each) {
    const [px, py] = this.pitch;
    for (let row = top; row < bottom; row++) {
      const y = (row + 0.5) * py - 0.5 + this.box[1] - cy;
      for (let column = left; column < right; column++) {
        const x = (column + 0.5) * px - 0.5 + this.box[0] - cx, near = (x * x + y * y) / (radius * radius);
        if (near < 1) each(2 * (row * this.grid[0] + column), (1 - near * near) ** 2, x, y, column, row);
      }
    }
  }

  move(centre, way, radius, growth, part) {
    const old = this.copy(part, 1), { data, pitch } = this, seen = [0, 0];
    this.weigh(centre, radius, part, (i, weight, x, y, column, row) => {
      const bx = weight * (growth * x + way[0]), by = weight * (growth * y + way[1]);
      sample(old, column - bx / pitch[0] - old.x, row - by / pitch[1] - old.y, seen);
      data[i] = seen[0] - bx;
      data[i + 1] = seen[1] - by;
    });
  }

  /** Smooth where the photo's pixels come from, and find the flow that shows it. */
  smooth(stroke, centre, part) {
    if (!stroke.shown) return;
    this.now ??= this.take(stroke.shown);
    this.wanted ??= this.now.slice();
    const mean = blurred(this.wanted, this.grid, part, (WIDTH * stroke.radius * 2) / (this.pitch[0] + this.pitch[1]));
    const { data, wanted } = this, whole = { w: this.grid[0], h: this.grid[1], data: this.now };
    this.weigh(centre, stroke.radius, part, (i, weight, x, y, column, row) => {
      const at = 2 * ((row - part[1]) * (part[2] - part[0]) + column - part[0]);
      wanted[i] += weight * SMOOTHING * (mean[at] - wanted[i]);
      wanted[i + 1] += weight * SMOOTHING * (mean[at + 1] - wanted[i + 1]);
      for (let step = 0; step < STEPS; step++) this.approach(whole, i, column, row, data, wanted, 2 * stroke.radius);
    });
  }

  /** One damped Newton step of b towards b(p) + U(p + b(p)) = U'(p). */
  approach(now, i, column, row, data, wanted, most) {
    const [px, py] = this.pitch, u = column + data[i] / px, v = row + data[i + 1] / py;
    const here = [0, 0], right = [0, 0], below = [0, 0];
    sample(now, u, v, here);
    sample(now, u + 1, v, right);
    sample(now, u, v + 1, below);
    const ex = wanted[i] - data[i] - here[0], ey = wanted[i + 1] - data[i + 1] - here[1];
    const a = 1 + (right[0] - here[0]) / px, b = (below[0] - here[0]) / py, c = (right[1] - here[1]) / px, d = 1 + (below[1] - here[1]) / py;
    const p = a * a + c * c + DAMPING, q = a * b + c * d, r = b * b + d * d + DAMPING, s = a * ex + c * ey, t = b * ex + d * ey, area = p * r - q * q;
    const clamp = (value) => Math.min(Math.max(value, -most), most);
    data[i] = clamp(data[i] + (r * s - q * t) / area);
    data[i + 1] = clamp(data[i + 1] + (p * t - q * s) / area);
  }

  /** A frame of the station at this grid. */
  take({ box, grid: [w, h], flow }) {
    const out = new Float32Array(this.data.length), [columns, rows] = this.grid, from = { w, h, data: flow }, seen = [0, 0];
    for (let row = 0; row < rows; row++) {
      const v = (((row + 0.5) * this.pitch[1] + this.box[1] - box[1]) / box[3]) * h - 0.5;
      for (let column = 0; column < columns; column++) {
        sample(from, (((column + 0.5) * this.pitch[0] + this.box[0] - box[0]) / box[2]) * w - 0.5, v, seen);
        out.set(seen, 2 * (row * columns + column));
      }
    }
    return out;
  }
}

/** A grid at a place between its cells, bilinear, its border repeated; written into `out`. */
function sample({ w, h, data }, x, y, out) {
  x = Math.min(Math.max(x, 0), w - 1);
  y = Math.min(Math.max(y, 0), h - 1);
  const left = Math.floor(x), top = Math.floor(y), a = x - left, b = y - top;
  const i = 2 * (top * w + left), j = left + 1 < w ? 2 : 0, k = top + 1 < h ? 2 * w : 0;
  for (let part = 0; part < 2; part++) {
    const upper = data[i + part] * (1 - a) + data[i + j + part] * a, lower = data[i + k + part] * (1 - a) + data[i + j + k + part] * a;
    out[part] = upper * (1 - b) + lower * b;
  }
}

/** A part of a grid after a Gaussian of a width in cells; its border is repeated. */
function blurred(from, [columns, rows], [left, top, right, bottom], width) {
  const reach = Math.max(1, Math.ceil(2 * width)), w = right - left, h = bottom - top;
  const inside = (at, count) => 2 * Math.min(Math.max(at, 0), count - 1);
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp((-0.5 * (i - reach) ** 2) / width ** 2));
  const kernel = weights.map((weight) => weight / weights.reduce((sum, each) => sum + each));
  const cells = Int32Array.from({ length: w + 2 * reach }, (_, i) => inside(left - reach + i, columns));
  const across = new Float32Array(2 * w * (h + 2 * reach)), out = new Float32Array(2 * w * h);
  for (let row = 0, at = 0; row < h + 2 * reach; row++) {
    const line = columns * inside(top - reach + row, rows);
    for (let column = 0; column < w; column++) {
      let x = 0, y = 0;
      for (let i = 0; i < kernel.length; i++) {
        const cell = line + cells[column + i];
        x += kernel[i] * from[cell];
        y += kernel[i] * from[cell + 1];
      }
      across[at++] = x;
      across[at++] = y;
    }
  }
  for (let at = 0; at < out.length; at++) {
    let sum = 0;
    for (let i = 0; i < kernel.length; i++) sum += kernel[i] * across[at + 2 * w * i];
    out[at] = sum;
  }
  return out;
}
