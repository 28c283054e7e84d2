// The buttons around the photo, and the keyboard on it.

import { SHAPES } from "./field.js";

const $ = (id) => document.getElementById(id);
const KEY_STEP = 4; // screen pixels that an arrow key moves; with shift 5 times as far
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Connect the buttons to an editor. */
export function listenToButtons(editor) {
  for (const tool of ["pull", "pin", "paint", "erase", "protect", "restore", ...SHAPES]) $(`tool-${tool}`).addEventListener("click", () => editor.choose(tool));
  for (const [name, draws, first] of [["brush", editor.painting, "protect"], ["shape", editor.strokes, "push"]]) {
    $(`tool-${name}`).addEventListener("click", () => editor.brush === draws || editor.choose(first));
  }
  $("brush-size").addEventListener("input", () => {
    editor.painting.radius = Number($("brush-size").value);
    editor.redraw();
  });
  $("original").addEventListener("click", () => editor.original());
  $("several").addEventListener("click", () => {
    editor.several = !editor.several;
    $("several").setAttribute("aria-pressed", editor.several);
    if (!editor.several && editor.pulls.arrows.length) editor.clear();
    editor.choose("pull");
  });
  $("clear").addEventListener("click", () => editor.clear(true));
  $("apply").addEventListener("click", () => {
    editor.commit();
    editor.choose("pull");
  });
  $("undo").addEventListener("click", () => editor.back("undo"));
  $("redo").addEventListener("click", () => editor.back("redo"));
  $("retry").addEventListener("click", () => editor.retry());
  $("keep-preview").addEventListener("click", () => editor.keepPreview());
  $("keep-result").addEventListener("click", () => editor.hideOutcome());
  $("take-back").addEventListener("click", () => editor.back("undo"));
  $("zoom-in").addEventListener("click", () => editor.zoom(1.5));
  $("zoom-out").addEventListener("click", () => editor.zoom(1 / 1.5));
  $("fit").addEventListener("click", () => editor.zoom(0));
  $("split").addEventListener("input", () => editor.part($("split").value / 100));
  const hold = (on) => () => {
    editor.comparing = on;
    editor.refresh();
  };
  for (const name of ["pointerdown", "keydown"]) $("compare").addEventListener(name, (event) => event.key !== "Tab" && hold(true)());
  for (const name of ["pointerup", "pointercancel", "pointerleave", "keyup", "blur"]) $("compare").addEventListener(name, hold(false));
}

/** Handle a key: move the cross, take hold, pull, let go, zoom, undo. */
export function handleKey(editor, event) {
  if (MOVES[event.key]) {
    const far = (KEY_STEP * (event.shiftKey ? 5 : 1) * editor.view.k) / editor.view.scale;
    editor.cross ??= [editor.state.width / 2, editor.state.height / 2];
    editor.cross = editor.cross.map((value, i) => Math.min(Math.max(value + MOVES[event.key][i] * far, 0), (i ? editor.state.height : editor.state.width) - 1));
    if (editor.pulls.pull) editor.pulls.pullTo(editor.cross);
    else if (editor.brush) editor.on[editor.brush.stroke ? "move" : "hover"](editor.view.toScreen(editor.cross));
  } else if (event.key === "Enter" || event.key === " ") {
    editor.cross ??= [editor.state.width / 2, editor.state.height / 2];
    if (editor.brush) event.repeat || editor.on[editor.brush.stroke ? "end" : "start"](editor.view.toScreen(editor.cross));
    else if (editor.tool === "pin") editor.pulls.pin([...editor.cross], editor.view.toScreen(editor.cross));
    else if (editor.pulls.pull) editor.pulls.release();
    else editor.take([...editor.cross], editor.view.toScreen(editor.cross));
  } else if (event.key === "Escape") editor.stop();
  else if (event.key === "+" || event.key === "-" || event.key === "0") editor.zoom({ "+": 1.5, "-": 1 / 1.5, 0: 0 }[event.key]);
  else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") $(event.shiftKey ? "redo" : "undo").click();
  else return;
  event.preventDefault();
  editor.redraw();
}
