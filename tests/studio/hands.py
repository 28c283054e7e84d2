"""A visitor's hand on the page: touch, mouse or keyboard, in Chromium and in Firefox alike."""

from __future__ import annotations

from typing import Any

from firefox import FirefoxVisitor, moved

from edgedrag.benchmarks.station.browser import Visitor

MOST_TABS = 60
WHERE = "document.activeElement.compareDocumentPosition(document.querySelector(%s))"
BEFORE = 2  # Node.DOCUMENT_POSITION_PRECEDING
KEY_STEP = 4  # screen pixels that an arrow key moves the cross; with Shift five times as many

Point = tuple[float, float]


def centre(visitor: Visitor, selector: str) -> dict[str, float]:
    """The middle of an element on the screen."""
    if isinstance(visitor, FirefoxVisitor):
        return visitor.page.centre(selector)
    box = visitor.page.locator(selector).bounding_box()
    return {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}


class Touch:
    """A finger."""

    def __init__(self, visitor: Visitor):
        self.visitor = visitor

    def press(self, selector: str) -> None:
        self.visitor.page.wait_for_selector(selector)
        self.visitor.touch("touchStart", centre(self.visitor, selector))
        self.visitor.touch("touchEnd")

    def down(self, point: Point) -> None:
        self.visitor.touch("touchStart", self.visitor.at(*point))

    def to(self, point: Point) -> None:
        self.visitor.touch("touchMove", self.visitor.at(*point))

    def up(self) -> None:
        self.visitor.touch("touchEnd")


class Mouse:
    """A mouse."""

    def __init__(self, visitor: Visitor):
        self.visitor = visitor

    def press(self, selector: str) -> None:
        self.visitor.page.click(selector)

    def down(self, point: Point) -> None:
        self.to(point)
        self._button("pointerDown", "down")

    def to(self, point: Point) -> None:
        at = self.visitor.at(*point)
        page: Any = self.visitor.page
        page.mouse(moved(at)) if isinstance(self.visitor, FirefoxVisitor) else page.mouse.move(**at)

    def up(self) -> None:
        self._button("pointerUp", "up")

    def _button(self, bidi: str, playwright: str) -> None:
        page: Any = self.visitor.page
        if isinstance(self.visitor, FirefoxVisitor):
            page.mouse({"type": bidi, "button": 0})
        else:
            getattr(page.mouse, playwright)()


class Keys:
    """A keyboard alone; the cross begins in the middle of the photo."""

    def __init__(self, visitor: Visitor):
        self.visitor = visitor
        self._cross: dict[str, float] | None = None

    def press(self, selector: str) -> None:
        self.visitor.page.wait_for_selector(selector)
        self._go_to(selector)
        self.visitor.page.keyboard.press("Enter")

    def down(self, point: Point) -> None:
        self._go_to("#overlay")
        self.to(point)
        self.visitor.page.keyboard.press("Enter")

    def to(self, point: Point) -> None:
        width, height = self.visitor.photo
        cross, goal = self._cross or self.visitor.at(width / 2, height / 2), self.visitor.at(*point)
        for axis, (less, more) in {"x": ("ArrowLeft", "ArrowRight"), "y": ("ArrowUp", "ArrowDown")}.items():
            steps = round((goal[axis] - cross[axis]) / KEY_STEP)
            key = more if steps > 0 else less
            for pressed in [f"Shift+{key}"] * (abs(steps) // 5) + [key] * (abs(steps) % 5):
                self.visitor.page.keyboard.press(pressed)
            cross = {**cross, axis: cross[axis] + steps * KEY_STEP}
        self._cross = cross

    def up(self) -> None:
        self.visitor.page.keyboard.press("Enter")

    def _go_to(self, selector: str) -> None:
        """Move the focus by Tab, as someone without a mouse does, and not through the browser's own buttons."""
        for _ in range(MOST_TABS):
            where = self.visitor.page.evaluate(WHERE % repr(selector))
            if where == 0:
                return
            self.visitor.page.keyboard.press("Shift+Tab" if where & BEFORE else "Tab")
        raise AssertionError(f"Tab does not lead to {selector}")
