"""One exception family, written for the person who reads the message."""

from __future__ import annotations

import textwrap


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
    """An engine cannot run the bundle as asked. `code` is the reason in a word, see `backends.ladder.CODES`."""

    exit_code = 3

    def __init__(self, message: str, code: str = "failed"):
        super().__init__(message)
        self.code = code


def summary(error: Exception) -> str:
    """Class and message of an error that is not of this family, in one line of at most 400 characters."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", 400)
