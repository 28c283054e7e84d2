// Touch, pen, mouse and wheel on the stage. One pointer edits; two zoom and move the photo, or what the first one holds.

/** `on`: start, move, end (points of the stage, with the event's time), stop (taken back), pair (whether a second finger takes hold too),
 *  pairMove (two points), pairEnd, pinch (from, to, factor), hover. */
export function listen(element, on) {
  const pointers = new Map();
  let working = null;
  let panning = null;
  let pair = null; // the pointers of two fingers that hold something
  const at = (event) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top, time: event.timeStamp };
  };
  const middle = () => {
    const [a, b] = [...pointers.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) };
  };

  const end = (report) => {
    pair = null;
    report();
  };

  element.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    element.focus({ preventScroll: true, focusVisible: false });
    element.setPointerCapture?.(event.pointerId);
    if (event.isPrimary && working === null && !pair && panning === null) pointers.clear(); // whose end got lost
    pointers.set(event.pointerId, at(event));
    if (event.button > 0) panning = event.pointerId;
    else if (pointers.size === 1) on.start(at(event), (working = event.pointerId));
    else if (working !== null) {
      if (pointers.size === 2 && on.pair(at(event))) pair = [working, event.pointerId];
      else on.stop();
      working = null;
    } else if (pair) end(on.stop);
  });
  // While Chromium waits whether a touch scrolls, up to 100 ms, it holds back what the station answers.
  element.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  element.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return on.hover(event.pointerType === "touch" ? null : at(event));
    const before = pointers.size === 2 ? middle() : pointers.get(event.pointerId);
    pointers.set(event.pointerId, at(event));
    if (pair) on.pairMove(...pair.map((id) => pointers.get(id)));
    else if (pointers.size === 2) {
      const after = middle();
      on.pinch(before, after, before.apart > 0 ? after.apart / before.apart : 1);
    } else if (event.pointerId === panning) on.pinch(before, at(event), 1);
    else if (event.pointerId === working) on.move(at(event));
  });
  const up = (finished) => (event) => {
    pointers.delete(event.pointerId);
    if (pair?.includes(event.pointerId)) return end(finished ? on.pairEnd : on.stop);
    if (event.pointerId === panning) panning = null;
    if (event.pointerId !== working) return;
    working = null;
    if (finished) on.end();
    else on.stop();
  };
  element.addEventListener("pointerup", up(true));
  element.addEventListener("pointercancel", up(false));
  element.addEventListener("pointerleave", () => on.hover(null));
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    on.pinch(at(event), at(event), Math.exp(-event.deltaY / 400));
  }, { passive: false });
}
