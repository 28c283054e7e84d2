"""Drag-based photo editing on the device itself: grab a point, move it, and the photo changes as the object would.

Open a runtime once, load a photo, drag, and save:

    import edgedrag

    runtime = edgedrag.open()                                # the bundle that ships, on the best backend here
    photo = runtime.load("photo.jpg")                        # or an open file, bytes, a Pillow image, an array
    edit = photo.drag([((120, 80), (140, 80))])              # handle -> target, pixels of the photo as displayed
    edit.checks.verdict                                      # "good", "doubtful" or "bad"
    photo.undo()
    photo.redo()
    edgedrag.save_picture("out.png", photo)

Pixels are uint8 or uint16 in RGB order; outside `edit.mask` they stay exactly as they were. `photo.drag_steps` is
the same drag as a generator, for progress and cancelling; `photo.preview` shows the motion alone,
`photo.hold` what would move with a point, and `photo.candidates` several answers, of which `photo.choose` takes one.

Everything that can go wrong is an `EdgedragError`: `InputError` for what was given, `BundleError` for the bundle's
files, `EngineError` for the backend. A Runtime and its photos are used from one thread at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgedrag.runtime.drag.checks import Checks
    from edgedrag.runtime.drag.reasons import Reason, ReasonCode
    from edgedrag.runtime.errors import BundleError, EdgedragError, EngineError, InputError
    from edgedrag.runtime.hold.hold import Hold
    from edgedrag.runtime.photo.picture import Picture, load_picture, save_picture
    from edgedrag.runtime.session.edit import Change, Edit, Motion, Progress
    from edgedrag.runtime.session.photo import Photo
    from edgedrag.runtime.session.runtime import Runtime
    from edgedrag.runtime.session.runtime import open_runtime as open

__version__ = "0.1.0"
__all__ = [
    "BundleError",
    "Change",
    "Checks",
    "EdgedragError",
    "Edit",
    "EngineError",
    "Hold",
    "InputError",
    "Motion",
    "Photo",
    "Picture",
    "Progress",
    "Reason",
    "ReasonCode",
    "Runtime",
    "load_picture",
    "open",
    "save_picture",
]

# Each name's module is imported when the name is first used (PEP 562): NumPy, OpenCV and Pillow take 0.2 s.
_MODULES = {
    "BundleError": "edgedrag.runtime.errors",
    "Change": "edgedrag.runtime.session.edit",
    "Checks": "edgedrag.runtime.drag.checks",
    "EdgedragError": "edgedrag.runtime.errors",
    "Edit": "edgedrag.runtime.session.edit",
    "EngineError": "edgedrag.runtime.errors",
    "Hold": "edgedrag.runtime.hold.hold",
    "InputError": "edgedrag.runtime.errors",
    "Motion": "edgedrag.runtime.session.edit",
    "Photo": "edgedrag.runtime.session.photo",
    "Picture": "edgedrag.runtime.photo.picture",
    "Progress": "edgedrag.runtime.session.edit",
    "Reason": "edgedrag.runtime.drag.reasons",
    "ReasonCode": "edgedrag.runtime.drag.reasons",
    "Runtime": "edgedrag.runtime.session.runtime",
    "load_picture": "edgedrag.runtime.photo.picture",
    "open": "edgedrag.runtime.session.runtime",
    "save_picture": "edgedrag.runtime.photo.picture",
}


if not TYPE_CHECKING:  # to a type checker, every name would be one of this package

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_MODULES[name]), "open_runtime" if name == "open" else name)
        globals()[name] = value  # from now on found without this function
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
