// An area of the photo, white on black, of the session's mask size: what the visitor paints.

export class Area {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.pen = this.canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.own = false; // whether the visitor painted it
  }

  /** Another photo: nothing is painted. */
  open(state) {
    this.canvas.width = state.mask_width;
    this.canvas.height = state.mask_height;
    this.scale = state.mask_width / state.width;
    this.wipe();
  }

  wipe() {
    this.own = false;
    this.pen.fillStyle = "black";
    this.pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Start from the automatic mask: the one of a preview's motion field. */
  takeMotion({ box, grid: [w, h], inside }) {
    const small = document.createElement("canvas");
    [small.width, small.height] = [w, h];
    const rgba = new Uint8ClampedArray(w * h * 4);
    for (let i = 0; i < w * h; i++) rgba.set([inside[i], inside[i], inside[i], 255], i * 4);
    small.getContext("2d").putImageData(new ImageData(rgba, w, h), 0, 0);
    this.wipe();
    this.pen.drawImage(small, ...box.map((length) => length * this.scale));
  }

  takePicture(bitmap) {
    this.wipe();
    this.pen.drawImage(bitmap, 0, 0, this.canvas.width, this.canvas.height);
  }

  /** A stroke between photo points, with a radius in photo pixels. */
  stroke(from, to, radius, white) {
    this.pen.strokeStyle = white ? "white" : "black";
    this.line(from, to, radius);
  }

  line(from, to, radius) {
    const { pen, scale } = this;
    pen.lineWidth = Math.max(2 * radius * scale, 2);
    pen.lineCap = "round";
    pen.beginPath();
    pen.moveTo((from[0] + 0.5) * scale, (from[1] + 0.5) * scale);
    pen.lineTo((to[0] + 0.5) * scale + 0.01, (to[1] + 0.5) * scale);
    pen.stroke();
    this.own = true;
  }

  holds([x, y]) {
    const at = (value, most) => Math.min(Math.floor((value + 0.5) * this.scale), most - 1);
    return this.pen.getImageData(at(x, this.canvas.width), at(y, this.canvas.height), 1, 1).data[0] >= 128;
  }

  get empty() {
    const { data } = this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height);
    for (let i = 0; i < data.length; i += 4) if (data[i] >= 128) return false;
    return true;
  }

  /** As a PNG. */
  file = () => new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
}

/** An area that is drawn over the photo in a colour, transparent elsewhere. */
export class Tint extends Area {
  constructor(colour) {
    super();
    this.colour = colour;
    this.canvas = document.createElement("canvas");
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
  }

  wipe() {
    this.own = false;
    this.pen.globalCompositeOperation = "source-over";
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  stroke(from, to, radius, white) {
    this.pen.globalCompositeOperation = white ? "source-over" : "destination-out";
    this.pen.strokeStyle = this.colour;
    this.line(from, to, radius);
  }

  takePicture(bitmap) {
    super.takePicture(bitmap);
    const image = this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height);
    for (let i = 0; i < image.data.length; i += 4) image.data[i + 3] = image.data[i]; // white on black: as much of it
    this.pen.putImageData(image, 0, 0);
    this.pen.globalCompositeOperation = "source-in";
    this.pen.fillStyle = this.colour;
    this.pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.own = true;
  }

  get empty() {
    const { data } = this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height);
    for (let i = 3; i < data.length; i += 4) if (data[i] >= 128) return false;
    return true;
  }

  /** White on black, as a PNG. */
  file = () => {
    const area = new Area();
    [area.canvas.width, area.canvas.height] = [this.canvas.width, this.canvas.height];
    const image = area.pen.getImageData(0, 0, this.canvas.width, this.canvas.height);
    const alpha = this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height).data;
    for (let i = 0; i < alpha.length; i += 4) image.data.fill(alpha[i + 3], i, i + 3);
    area.pen.putImageData(image, 0, 0);
    return area.file();
  };
}
