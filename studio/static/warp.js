// Pixels of the screen, RGBA in an Int32Array: moved by a backward flow, or tinted by an area. A few milliseconds a frame
// on one core, which most kiosks have to spare; without a graphics card WebGL takes several times as long.

const LANES = 0x00ff00ff; // two of a pixel's four bytes; their products with up to 256 do not touch
const HALF = 0x00800080; // to round them
const STILL = 1 / 16; // screen pixels; what moves by less is shown as it is
const FILL = 0xff21b0ff, RIM = 0xff59ccff; // colours of what an area covers, and of its outline: ABGR
const FILL_SHARE = 0.22, RIM_SHARE = 0.85;
const RIM_NEAR = 1.5, RIM_FAR = 2.5; // screen pixels from an area's edge, between which its outline ends
export const OUTLINE = { fill: css(FILL, FILL_SHARE), rim: css(RIM, RIM_SHARE), width: 3 }; // of a path; width in pixels

let halves = null; // each float16 as a number

/** A buffer's first `count` float16 as Float32Array. */
export function fromHalves(buffer, count) {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => {
    const exponent = (bits >> 10) & 31, fraction = bits & 1023;
    return (bits >> 15 ? -1 : 1) * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  });
  const bits = new Uint16Array(buffer, 0, count), numbers = new Float32Array(count);
  for (let i = 0; i < count; i++) numbers[i] = halves[bits[i]];
  return numbers;
}

/**
 * Move what a motion moves, bilinear; or, where the motion says `nearest`, without mixing pixels: half the time.
 *
 * `from`, `to`: pixels of a picture `width` x `height`; `part`: left, top, right, bottom, what of `to` is written.
 * `motion`: its `flow`, x and y in turn, on a `grid` of cells over a `box`, both in photo pixels.
 * `place`: of the photo in the picture: x and y of its corner, and how many pixels a photo pixel takes.
 */
export function warp(from, to, [width, height], [left, top, right, bottom], { flow, grid: [w, h], box, nearest }, [x, y, scale]) {
  const row = new Float32Array(2 * w + 2), step = w / (box[2] * scale);
  const first = ((left + 0.5 - x) / scale - box[0]) * (w / box[2]) - 0.5; // in cells
  const low = Math.max(left, Math.ceil(x + box[0] * scale - 0.5)), high = Math.min(right, Math.floor(x + (box[0] + box[2]) * scale - 0.5) + 1);
  const cells = [first, first + (right - left) * step].map((at, i) => Math.min(Math.max(Math.floor(at) + i, 0), w - 1));
  for (let v = top; v < bottom; v++) {
    const line = v * width, cell = ((v + 0.5 - y) / scale - box[1]) * (h / box[3]) - 0.5;
    to.set(from.subarray(line + left, line + right), line + left);
    if (cell < -0.5 || cell > h - 0.5) continue;
    blend(flow, [w, h], cells, cell, scale, row);
    for (let u = low; u < high; u++) {
      const at = Math.min(Math.max(first + (u - left) * step, 0), w - 1), i = at | 0, share = at - i;
      const dx = row[2 * i] + share * (row[2 * i + 2] - row[2 * i]), dy = row[2 * i + 1] + share * (row[2 * i + 3] - row[2 * i + 1]);
      if (dx < STILL && dx > -STILL && dy < STILL && dy > -STILL) continue;
      const sx = Math.min(Math.max(u + dx, 0), width - 1), sy = Math.min(Math.max(v + dy, 0), height - 1);
      if (nearest) {
        to[line + u] = from[((sy + 0.5) | 0) * width + ((sx + 0.5) | 0)];
        continue;
      }
      const column = sx | 0, line0 = sy | 0, a = ((sx - column) * 16 + 0.5) | 0, b = ((sy - line0) * 16 + 0.5) | 0;
      const p = line0 * width + column, q = column + 1 < width ? p + 1 : p, down = line0 + 1 < height ? width : 0;
      to[line + u] = mixed(from[p], from[q], from[p + down], from[q + down], a, b);
    }
  }
}

/** Some cells of a flow, in one row between two rows of cells, times the scale; the last cell of a row once more. */
function blend(flow, [w, h], [begin, end], cell, scale, row) {
  const at = Math.min(Math.max(cell, 0), h - 1), i = at | 0, share = at - i, one = 2 * w * i, two = i + 1 < h ? one + 2 * w : one;
  for (let j = 2 * begin; j < 2 * end + 2; j++) row[j] = (flow[one + j] + share * (flow[two + j] - flow[one + j])) * scale;
  row[2 * w] = row[2 * w - 2];
  row[2 * w + 1] = row[2 * w - 1];
}

/** Four pixels, of which the right ones count a sixteenth `a` times, the lower ones `b` times. */
function mixed(p, q, r, s, a, b) {
  const d = a * b, c = (b << 4) - d, f = (a << 4) - d, e = 256 - d - c - f;
  const one = Math.imul(p & LANES, e) + Math.imul(q & LANES, f) + Math.imul(r & LANES, c) + Math.imul(s & LANES, d) + HALF;
  const two = Math.imul((p >>> 8) & LANES, e) + Math.imul((q >>> 8) & LANES, f) + Math.imul((r >>> 8) & LANES, c) + Math.imul((s >>> 8) & LANES, d) + HALF;
  return ((one >>> 8) & LANES) | (two & ~LANES);
}

/**
 * Tint what an area covers, with an outline.
 *
 * `from`, `to`, `part` as of `warp`, and may be one; `area`: 0 to 255 for each pixel.
 */
export function tint(from, to, [width, height], [left, top, right, bottom], area) {
  for (let v = top; v < bottom; v++) {
    const below = v + 1 < height ? width : -width;
    for (let u = left, i = v * width + left; u < right; u++, i++) {
      const here = area[i], slope = Math.abs(area[u + 1 < width ? i + 1 : i - 1] - here) + Math.abs(area[i + below] - here);
      if (!slope) to[i] = here ? over(from[i], FILL, FILL_SHARE * smooth(0.4, 0.6, here / 255)) : from[i];
      else {
        const filled = over(from[i], FILL, FILL_SHARE * smooth(0.4, 0.6, here / 255));
        to[i] = over(filled, RIM, RIM_SHARE * (1 - smooth(RIM_NEAR, RIM_FAR, Math.abs(here - 127.5) / slope)));
      }
    }
  }
}

/** 0 up to `low`, 1 from `high` on. */
function smooth(low, high, value) {
  const at = Math.min(Math.max((value - low) / (high - low), 0), 1);
  return at * at * (3 - 2 * at);
}

/** A colour and its share as a canvas's style. */
function css(colour, share) {
  return `rgb(${[0, 8, 16].map((bits) => (colour >> bits) & 255).join(" ")} / ${share})`;
}

/** A pixel with a share of a colour over it. */
function over(pixel, colour, share) {
  const more = (256 * share + 0.5) | 0, less = 256 - more;
  const one = Math.imul(pixel & LANES, less) + Math.imul(colour & LANES, more) + HALF;
  const two = Math.imul((pixel >>> 8) & LANES, less) + Math.imul((colour >>> 8) & LANES, more) + HALF;
  return ((one >>> 8) & LANES) | (two & ~LANES);
}
