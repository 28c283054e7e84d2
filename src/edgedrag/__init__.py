"""edgedrag: drag-based photo editing that runs on the device itself.

>>> import edgedrag
>>> photo = edgedrag.open().load("photo.jpg")
>>> edit = photo.drag([((120, 80), (140, 80))])
"""

from edgedrag.runtime.errors import BundleError, EdgedragError, EngineError, InputError
from edgedrag.runtime.photo.picture import Picture, load_picture, save_picture
from edgedrag.runtime.session.edit import Edit, Progress
from edgedrag.runtime.session.photo import Photo
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.runtime.session.runtime import open_runtime as open

__version__ = "0.1.0"
__all__ = [
    "BundleError",
    "EdgedragError",
    "Edit",
    "EngineError",
    "InputError",
    "Photo",
    "Picture",
    "Progress",
    "Runtime",
    "load_picture",
    "open",
    "save_picture",
]
