// Draws the photo with WebGL 2: warped by the preview's motion field, with an area tinted.
// While only the preview changes, only its part of the canvas is redrawn: many kiosks have no graphics card.

const SHRUNK = 0.45; // screen pixels of a view pixel, below which smaller copies of the photo are drawn: they cost time

const VERTEX = `#version 300 es
in vec2 at;
void main() { gl_Position = vec4(at, 0.0, 1.0); }`;

const FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D picture, flow, area;
uniform vec2 size;       // of the view
uniform vec3 place;      // x, y of its corner and its scale, in device pixels
uniform float high;      // of the canvas
uniform vec4 box;        // of the motion field, in view pixels
uniform float k;         // photo pixels of a view pixel
uniform int moving, tint;
uniform vec3 ground;     // beside the photo
out vec4 colour;
void main() {
  vec2 screen = vec2(gl_FragCoord.x, high - gl_FragCoord.y);
  vec2 at = (screen - place.xy) / place.z;
  if (any(lessThan(at, vec2(0.0))) || any(greaterThanEqual(at, size))) { colour = vec4(ground, 1.0); return; }
  vec2 grid = (at - box.xy) / box.zw;
  bool within = moving == 1 && all(greaterThanEqual(grid, vec2(0.0))) && all(lessThanEqual(grid, vec2(1.0)));
  vec2 from = within ? at + texture(flow, grid).rg / k : at;
  vec3 seen = texture(picture, from / size).rgb;
  float covered = tint == 0 ? 0.0 : texture(area, (tint == 1 ? from : at) / size).r; // 1: it moves with the photo
  float slope = fwidth(covered) + 1e-5;
  float rim = tint == 0 ? 0.0 : 1.0 - smoothstep(1.5, 2.5, abs(covered - 0.5) / slope);
  seen = mix(seen, vec3(1.0, 0.69, 0.13), 0.22 * smoothstep(0.4, 0.6, covered));
  colour = vec4(mix(seen, vec3(1.0, 0.8, 0.35), 0.85 * rim), 1.0);
}`;

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    const gl = (this.gl = canvas.getContext("webgl2", { alpha: false, antialias: false, preserveDrawingBuffer: true }));
    if (!gl) throw new Error("no WebGL 2");
    const program = (this.program = gl.createProgram());
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW);
    gl.enableVertexAttribArray(gl.getAttribLocation(program, "at"));
    gl.vertexAttribPointer(gl.getAttribLocation(program, "at"), 2, gl.FLOAT, false, 0, 0);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.at = (name) => gl.getUniformLocation(program, name);
    this.textures = {};
    ["picture", "flow", "area", "before"].forEach((name, unit) => {
      this.textures[name] = { unit, texture: gl.createTexture() };
      if (name !== "before") gl.uniform1i(this.at(name), unit);
      this.bind(name);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    });
    this.clear();
  }

  /** Take the colour beside the photo from the page, as #rrggbb. */
  set surround(colour) {
    this.ground = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);
    this.drawn = null;
  }

  bind(name) {
    this.gl.activeTexture(this.gl.TEXTURE0 + this.textures[name].unit);
    this.gl.bindTexture(this.gl.TEXTURE_2D, this.textures[name].texture);
  }

  /** Clear the stage; the photo leaves the graphics memory too. */
  clear() {
    const { gl } = this;
    this.motion = this.drawn = null;
    this.tint = 0;
    for (const name of Object.keys(this.textures)) {
      this.bind(name);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array([16, 20, 24, 255]));
      this.textures[name].smaller = false;
    }
  }

  /** Put a whole picture in, an ImageBitmap, as "picture" or "before". */
  show(name, bitmap) {
    const { gl } = this;
    this.bind(name);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    this.textures[name].smaller = false;
    this.drawn = null;
  }

  /** Replace a part of the picture: left, top. */
  patch([left, top], bitmap) {
    const { gl } = this;
    this.bind("picture");
    gl.texSubImage2D(gl.TEXTURE_2D, 0, left, top, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    this.textures.picture.smaller = false;
    this.drawn = null;
  }

  /** Warp by a preview's frame. */
  move({ box, grid: [w, h], payload }) {
    const { gl } = this;
    this.bind("flow");
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RG16F, w, h, 0, gl.RG, gl.HALF_FLOAT, new Uint16Array(payload, 0, w * h * 2));
    const inside = new Uint8Array(payload, w * h * 4, w * h);
    this.motion = { box, grid: [w, h], inside, part: extent(box, w, h, inside) };
  }

  /** Warp by a field that the page itself computed (field.js); of one that is shown already, only its fresh cells change. */
  bend(field) {
    const { gl } = this, [w, h] = field.grid, known = this.motion?.field === field;
    const [left, top, right, bottom] = field.fresh, data = field.veiled;
    this.bind("flow");
    if (known) {
      const skip = { UNPACK_ROW_LENGTH: w, UNPACK_SKIP_PIXELS: left, UNPACK_SKIP_ROWS: top };
      for (const [name, value] of Object.entries(skip)) gl.pixelStorei(gl[name], value);
      gl.texSubImage2D(gl.TEXTURE_2D, 0, left, top, right - left, bottom - top, gl.RG, gl.FLOAT, data);
      for (const name of Object.keys(skip)) gl.pixelStorei(gl[name], 0);
    } else {
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RG16F, w, h, 0, gl.RG, gl.FLOAT, data);
      this.drawn = null;
    }
    const cells = known && this.motion.waits ? join(this.motion.cells, field.fresh) : field.fresh; // not drawn yet
    this.motion = { box: field.box, grid: field.grid, field, cells, waits: true, part: around(field.box, w, h, cells) };
    field.fresh = null;
  }

  rest() {
    if (this.motion?.field) this.drawn = null; // only its newest part is known
    this.motion = null;
  }

  /** Tint what a canvas shows white, or nothing; `moves`: the tint follows the preview's motion. */
  cover(canvas, moves = false) {
    const { gl } = this;
    this.tint = !canvas ? 0 : moves ? 1 : 2;
    this.drawn = null;
    if (!canvas) return;
    this.bind("area");
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, canvas);
  }

  /** Draw the photo as `view` places it, and in a share of the canvas, from the left, what it was before all edits. */
  draw(view, split) {
    const now = [view.x, view.y, view.scale, split, this.canvas.width, this.canvas.height, this.tint].join();
    if (now === this.shows && this.motion === this.drawn?.motion) return; // without a graphics card each drawing counts
    this.shows = now;
    if (split < 1) this.drawOne(view, false, 0);
    if (!split) return;
    this.drawn = null;
    this.drawOne(view, true, split);
    this.drawn = null;
  }

  drawOne(view, before, split) {
    const { gl, canvas } = this;
    const ratio = canvas.width / view.stage.width;
    const shown = before ? "before" : "picture";
    this.bind(shown);
    const shrunk = view.scale * ratio < SHRUNK;
    if (shrunk && !this.textures[shown].smaller) {
      gl.generateMipmap(gl.TEXTURE_2D);
      this.textures[shown].smaller = true;
    }
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, shrunk ? gl.LINEAR_MIPMAP_LINEAR : gl.LINEAR);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.uniform1i(this.at("picture"), this.textures[shown].unit);
    gl.uniform3f(this.at("ground"), ...this.ground);
    gl.uniform2f(this.at("size"), view.width, view.height);
    const place = [view.x * ratio, view.y * ratio, view.scale * ratio];
    gl.uniform3f(this.at("place"), ...place);
    gl.uniform1f(this.at("high"), canvas.height);
    gl.uniform1f(this.at("k"), view.k);
    const box = this.motion?.box ?? [0, 0, 1, 1];
    gl.uniform4f(this.at("box"), ...box.map((length) => length / view.k));
    gl.uniform1i(this.at("moving"), this.motion && !before ? 1 : 0);
    gl.uniform1i(this.at("tint"), before ? 0 : this.tint);
    this.cut(place, view.k, [...place, canvas.width, canvas.height, shown, this.tint].join());
    if (before) {
      gl.enable(gl.SCISSOR_TEST);
      gl.scissor(0, 0, Math.round(split * canvas.width), canvas.height);
    }
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    if (this.motion) this.motion.waits = false;
  }

  /** Draw only where this motion or the last one drawn is, if all else is as it was. */
  cut(place, k, rest) {
    const { gl } = this;
    const parts = [this.motion?.part, this.drawn?.part].filter(Boolean);
    const same = this.drawn?.rest === rest && parts.length > 0;
    this.drawn = { rest, part: this.motion?.part, motion: this.motion };
    gl[same ? "enable" : "disable"](gl.SCISSOR_TEST);
    if (!same) return;
    const [x, y, scale] = place;
    const left = Math.min(...parts.map((part) => part[0])), top = Math.min(...parts.map((part) => part[1]));
    const right = Math.max(...parts.map((part) => part[2])), bottom = Math.max(...parts.map((part) => part[3]));
    const pixel = (value, corner) => corner + (value / k) * scale;
    const low = Math.floor(this.canvas.height - pixel(bottom, y));
    gl.scissor(Math.floor(pixel(left, x)), low, Math.ceil(((right - left) / k) * scale) + 2, Math.ceil(((bottom - top) / k) * scale) + 2);
  }
}

/** Where a motion field moves anything: left, top, right, bottom in photo pixels, a cell of the grid more around. */
function extent(box, w, h, inside) {
  let [left, top, right, bottom] = [w, h, 0, 0]; // the last ones included
  for (let i = 0; i < inside.length; i++) {
    if (!inside[i]) continue;
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

const join = (a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
