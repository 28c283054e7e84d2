// Two plots of the record in plain SVG: shares of verdicts, and a value of each edit on a logarithmic axis.

const SPACE = "http://www.w3.org/2000/svg";
const WIDE = 900, HIGH = 220, LEFT = 80, BOTTOM = 28, TOP = 10;
const BARS = 60; // at most

function add(svg, name, attributes, text) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  svg.append(element);
  return element;
}

const when = (at) => new Date(at * 1000).toLocaleString(document.documentElement.lang, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });

function frame(svg, edits, ticks, height) {
  svg.replaceChildren();
  for (const [value, label] of ticks) {
    const y = height(value);
    add(svg, "line", { class: "axis", x1: LEFT, x2: WIDE, y1: y, y2: y });
    add(svg, "text", { x: LEFT - 8, y: y + 5, "text-anchor": "end" }, label);
  }
  add(svg, "text", { x: LEFT, y: HIGH - 6 }, when(edits[0].at));
  add(svg, "text", { x: WIDE, y: HIGH - 6, "text-anchor": "end" }, when(edits.at(-1).at));
}

/** Bars of equal counts of edits, the oldest first. */
export function drawVerdicts(svg, edits) {
  if (!edits.length) return svg.replaceChildren();
  const height = (share) => TOP + (1 - share) * (HIGH - BOTTOM - TOP);
  frame(svg, edits, [[0, "0%"], [0.5, "50%"], [1, "100%"]], height);
  const each = Math.ceil(edits.length / BARS);
  const bars = Math.ceil(edits.length / each);
  const width = (WIDE - LEFT) / bars;
  for (let bar = 0; bar < bars; bar++) {
    const part = edits.slice(bar * each, (bar + 1) * each);
    let low = 0;
    for (const verdict of ["bad", "doubtful", "good"]) {
      const share = part.filter((edit) => edit.verdict === verdict).length / part.length;
      const top = height(low + share);
      add(svg, "rect", { class: verdict, x: LEFT + bar * width + 1, width: Math.max(Math.min(width - 2, 40), 1), y: top, height: height(low) - top });
      low += share;
    }
  }
}

/** A dot for each edit that has the value, in the colour of its verdict. */
export function drawValues(svg, edits, key, unit) {
  const known = edits.filter((edit) => edit[key] !== null);
  if (!known.length) return svg.replaceChildren();
  const least = key.endsWith("_ms") ? 10 : 0.5;
  const most = Math.max(least * 20, ...known.map((edit) => edit[key])) * 1.2;
  const height = (value) => TOP + (1 - Math.log(Math.max(value, least) / least) / Math.log(most / least)) * (HIGH - BOTTOM - TOP);
  const ticks = [];
  for (let value = least; value < most; value *= key.endsWith("_ms") ? 10 : 4) ticks.push([value, `${value} ${unit}`]);
  frame(svg, known, ticks, height);
  known.forEach((edit, i) => {
    add(svg, "circle", { class: edit.verdict, r: 3.5, cx: LEFT + 6 + ((WIDE - LEFT - 12) * i) / Math.max(known.length - 1, 1), cy: height(edit[key]) });
  });
}
