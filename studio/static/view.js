// Where the photo lies on the screen. Photo pixels have their centres at whole numbers, as in the service;
// view pixels are the shrunk picture's, `k` photo pixels wide; screen pixels are CSS pixels of the stage.

export class View {
  constructor() {
    this.scale = 1; // screen pixels of a view pixel
    this.x = this.y = 0; // where the view's corner lies
    this.k = 1;
    this.width = this.height = 1; // of the view
    this.stage = { width: 1, height: 1 };
  }

  /** Another photo. */
  open(state) {
    this.width = state.view_width;
    this.height = state.view_height;
    this.photo = { width: state.width, height: state.height };
    this.k = Math.max(1, Math.ceil(Math.max(state.width, state.height) / 2048));
    this.fit();
  }

  get least() {
    return Math.min(this.stage.width / this.width, this.stage.height / this.height);
  }

  fit() {
    this.scale = this.least;
    this.settle();
  }

  /** Keep the photo on the stage. */
  settle() {
    this.scale = Math.min(Math.max(this.scale, this.least), Math.max(8 / this.k, this.least * 8));
    for (const [at, length] of [["x", "width"], ["y", "height"]]) {
      const room = this.stage[length] - this[length] * this.scale;
      this[at] = room >= 0 ? room / 2 : Math.min(0, Math.max(room, this[at]));
    }
  }

  /** Zoom by a factor and move so that the photo's point under `from` comes to lie under `to`. */
  move(from, to, factor = 1) {
    const before = this.scale;
    this.scale = Math.min(Math.max(before * factor, this.least), Math.max(8 / this.k, this.least * 8));
    const ratio = this.scale / before;
    this.x = to.x - (from.x - this.x) * ratio;
    this.y = to.y - (from.y - this.y) * ratio;
    this.settle();
  }

  /** A place on the screen as the nearest point of the photo. */
  toPhoto(at) {
    const clamp = (value, most) => Math.min(Math.max(value, 0), most);
    const [x, y] = this.toPhotoFreely(at);
    return [clamp(x, this.photo.width - 1), clamp(y, this.photo.height - 1)];
  }

  /** The same beside the photo too. */
  toPhotoFreely({ x, y }) {
    return [((x - this.x) / this.scale) * this.k - 0.5, ((y - this.y) / this.scale) * this.k - 0.5];
  }

  toScreen([x, y]) {
    return { x: ((x + 0.5) / this.k) * this.scale + this.x, y: ((y + 0.5) / this.k) * this.scale + this.y };
  }

  holds({ x, y }) {
    const [u, v] = [(x - this.x) / this.scale, (y - this.y) / this.scale];
    return u >= 0 && v >= 0 && u < this.width && v < this.height;
  }
}
