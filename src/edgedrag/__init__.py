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

__version__ = "0.1.0"

if TYPE_CHECKING:  # `as` the same says that a name is public
    from edgedrag.runtime.drag.checks import Checks as Checks
    from edgedrag.runtime.drag.reasons import Reason as Reason
    from edgedrag.runtime.drag.reasons import ReasonCode as ReasonCode
    from edgedrag.runtime.errors import BundleError as BundleError
    from edgedrag.runtime.errors import EdgedragError as EdgedragError
    from edgedrag.runtime.errors import EngineError as EngineError
    from edgedrag.runtime.errors import InputError as InputError
    from edgedrag.runtime.hold.hold import Hold as Hold
    from edgedrag.runtime.photo.picture import Picture as Picture
    from edgedrag.runtime.photo.picture import load_picture as load_picture
    from edgedrag.runtime.photo.picture import save_picture as save_picture
    from edgedrag.runtime.session.edit import Change as Change
    from edgedrag.runtime.session.edit import Edit as Edit
    from edgedrag.runtime.session.edit import Motion as Motion
    from edgedrag.runtime.session.edit import Progress as Progress
    from edgedrag.runtime.session.photo import Photo as Photo
    from edgedrag.runtime.session.runtime import Runtime as Runtime
    from edgedrag.runtime.session.runtime import open_runtime

    open = open_runtime
else:
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
    __all__ = [*_MODULES]

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_MODULES[name]), "open_runtime" if name == "open" else name)
        globals()[name] = value  # from now on found without this function
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
