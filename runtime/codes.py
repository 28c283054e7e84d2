"""Exit codes of the command line, and the codes of why a backend does not serve. docs/errors.md is made from both."""

from __future__ import annotations

from enum import Enum


class ExitCode(int, Enum):
    """What the command line returns.

    Attributes:
        meaning: for people.
    """

    meaning: str

    def __new__(cls, number: int, meaning: str = "") -> ExitCode:
        member = int.__new__(cls, number)
        member._value_, member.meaning = number, meaning
        return member

    DONE = 0, "Done."
    OTHER = 1, "Anything else: some jobs of a batch failed, a run was interrupted, a result is not good enough."
    INPUT = 2, "Bad usage or input: an option, a photo, a mask, a drag, a file that cannot be written."
    UNAVAILABLE = 3, "No usable backend, engine or bundle, or a package is not installed."
    SLOWER = 4, "`bench compare` and `bench ab`: the second is slower."


class Code(str, Enum):
    """Why a backend does not serve: of `EngineError`, `Fallback` and `doctor`. A member is its word, in JSON too.

    Attributes:
        meaning: the same for people, without the values of a case.
    """

    meaning: str

    def __new__(cls, word: str, meaning: str = "") -> Code:
        member = str.__new__(cls, word)
        member._value_, member.meaning = word, meaning
        return member

    def __str__(self) -> str:
        return self.value

    NOT_INSTALLED = "not-installed", "Its package is not installed."
    LOAD_FAILED = "load-failed", "Its package is installed and does not load."
    NO_DRIVER = "no-driver", "There is no NVIDIA driver, or it does not answer."
    NO_GPU = "no-gpu", "The NVIDIA driver finds no GPU."
    CUDA_ERROR = "cuda-error", "CUDA reported an error."
    GPU_UNSUPPORTED = "gpu-unsupported", "The library does not run on this generation of GPUs."
    NO_PRECISION = "no-precision", "The bundle has no graphs for it in the precision that was asked for."
    NO_ENGINES = "no-engines", "No engines were built for this bundle."
    ENGINE_VERSION = "engine-version", "The engine was built with another version of the library."
    ENGINE_LIBRARY = "engine-library", "The engine was built with the other library."
    ENGINE_TARGET = "engine-target", "The engine was built for another generation of GPUs."
    ENGINE_STALE = "engine-stale", "The engine was built from other graphs, or for another recipe, precision or size."
    ENGINE_DAMAGED = "engine-damaged", "The engine's file is not the one that was built."
    ENGINE_REFUSED = "engine-refused", "The library does not load the engine or the graph."
    ENGINE_FAILED = "engine-failed", "The library does not run the engine or the graph."
    ENGINE_SHAPE = "engine-shape", "The engine was not built for a shape that it was given."
    OUT_OF_MEMORY = "out-of-memory", "The device, or --memory-budget, has too little memory."
    NOT_RECORDABLE = "not-recordable", "CUDA cannot capture the work in a graph; it runs without one."
    NOT_WRITTEN = "not-written", "A built engine cannot be written to its folder."
    SELF_TEST = "self-test", "The golden drag's result is not the one that the bundle stores."
    BAD_OUTPUT = "bad-output", "It gave no picture: values that are not numbers, or one colour."
    NOT_NEEDED = "not-needed", "A backend that is preferred to it serves; only in `doctor`."
    FAILED = "failed", "Another reason; the sentence says which."
