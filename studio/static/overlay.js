// Draws arrows, pins, tinted areas, marked places, the brush and the keyboard's cross over the photo.

const ACCENT = "#ffb020";
const DARK = "rgb(0 0 0 / .75)";

export function drawOverlay(canvas, view, { arrows = [], marks = [], pins = [], tints = [], brush, cross }) {
  const pen = canvas.getContext("2d");
  const ratio = canvas.width / view.stage.width;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, view.stage.width, view.stage.height);
  pen.lineCap = pen.lineJoin = "round";
  pen.globalAlpha = 0.45;
  for (const { canvas: tint } of tints) pen.drawImage(tint, view.x, view.y, view.width * view.scale, view.height * view.scale);
  pen.globalAlpha = 1;
  for (const pin of pins) drawPin(pen, view.toScreen(pin));
  for (const mark of marks) drawMark(pen, view, mark);
  for (const [handle, target] of arrows) drawArrow(pen, view.toScreen(handle), view.toScreen(target));
  if (brush) stroke(pen, 3, () => pen.arc(brush.x, brush.y, brush.radius, 0, 7));
  if (cross) {
    const { x, y } = view.toScreen(cross);
    stroke(pen, 3, () => [[-22, 0, -8, 0], [8, 0, 22, 0], [0, -22, 0, -8], [0, 8, 0, 22]].forEach(([a, b, c, d]) => {
      pen.moveTo(x + a, y + b);
      pen.lineTo(x + c, y + d);
    }));
  }
}

/** A dashed ring around left, top, right, bottom in photo pixels. */
function drawMark(pen, view, [left, top, right, bottom]) {
  const a = view.toScreen([left, top]), b = view.toScreen([right, bottom]);
  pen.setLineDash([10, 8]);
  stroke(pen, 3, () => pen.ellipse((a.x + b.x) / 2, (a.y + b.y) / 2, Math.max((b.x - a.x) / 2, 20), Math.max((b.y - a.y) / 2, 20), 0, 0, 7));
  pen.setLineDash([]);
}

function drawPin(pen, { x, y }) {
  stroke(pen, 4, () => {
    pen.arc(x, y, 11, 0, 7);
    pen.moveTo(x + 3, y);
    pen.arc(x, y, 3, 0, 7);
  });
}

function drawArrow(pen, from, to) {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  const barb = Math.min(18, length * 0.6);
  const tip = (turn) => [to.x - barb * Math.cos(angle + turn), to.y - barb * Math.sin(angle + turn)];
  if (length > 6) {
    stroke(pen, 5, () => {
      pen.moveTo(from.x, from.y);
      pen.lineTo(to.x, to.y);
      if (length > 16) {
        pen.moveTo(...tip(0.5));
        pen.lineTo(to.x, to.y);
        pen.lineTo(...tip(-0.5));
      }
    });
  }
  pen.beginPath();
  pen.arc(from.x, from.y, 8, 0, 7);
  pen.fillStyle = ACCENT;
  pen.fill();
  pen.lineWidth = 3;
  pen.strokeStyle = DARK;
  pen.stroke();
}

function stroke(pen, width, path) {
  for (const [colour, more] of [[DARK, 4], [ACCENT, 0]]) {
    pen.beginPath();
    path();
    pen.lineWidth = width + more;
    pen.strokeStyle = colour;
    pen.stroke();
  }
}
