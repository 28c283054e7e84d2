"""One exception family, written for the person who reads the message."""

from __future__ import annotations

import textwrap

from edgedrag.runtime.codes import Code, ExitCode


class EdgedragError(Exception):
    """Something edgedrag could not do. `exit_code` is what the command line returns for it."""

    exit_code = ExitCode.OTHER


class InputError(EdgedragError):
    """The photo, mask, drag, job or option that was given cannot be used."""

    exit_code = ExitCode.INPUT


class BundleError(EdgedragError):
    """A bundle is missing, damaged, unsafe or not understood by this version."""

    exit_code = ExitCode.UNAVAILABLE


class EngineError(EdgedragError):
    """A backend cannot run the bundle as asked. `code` is the reason in a word."""

    exit_code = ExitCode.UNAVAILABLE

    def __init__(self, message: str, code: Code = Code.FAILED):
        super().__init__(message)
        self.code = Code(code)  # ValueError for any other string


def summary(error: Exception) -> str:
    """Class and message of an error that is not of this family, in one line of at most 400 characters."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", 400)
