"""One exception family, written for the person who reads the message."""

from __future__ import annotations


class EdgedragError(Exception):
    """Something edgedrag could not do. `exit_code` is what the command line returns for it."""

    exit_code = 1


class InputError(EdgedragError):
    """The photo, mask, drag, job or option that was given cannot be used."""

    exit_code = 2


class BundleError(EdgedragError):
    """A bundle is missing, damaged, unsafe or not understood by this version."""

    exit_code = 3


class EngineError(EdgedragError):
    """No engine on this machine can run the bundle as asked."""

    exit_code = 3
