"""Objects that have what a real class of NVIDIA's bindings has, and take what its methods say they take.

pybind11 writes the signature of every method into its docstring. A call is checked against it: an attribute that the
class lacks, an argument too many or of another type raise as they do in the real module. What a call gives back is an
object of the class that the signature names, unless a test says better.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

Answers = Mapping[str, Callable[..., Any]]  # by "Class.member"; called with the object and the arguments


@dataclass(frozen=True)
class Overload:
    """One signature of a method: parameters after `self`, as (name, type, has a default), and what it returns."""

    parameters: tuple[tuple[str, str, bool], ...]
    returns: str


def overloads(member: Any) -> list[Overload]:
    """The signatures in a docstring of pybind11."""
    lines = re.findall(r"^(?:\d+\. )?\w+\(self: [^\n]*\) -> [^\n]+$", member.__doc__ or "", re.M)
    return [_parse(line) for line in lines]


def _parse(line: str) -> Overload:
    inside, returns = line.split("(", 1)[1].rsplit(") -> ", 1)
    parameters = []
    for part in _split(inside)[1:]:
        name, kind = part.split(": ", 1)
        kind, *default = kind.split(" = ", 1)
        parameters.append((name.strip(), kind.strip(), bool(default)))
    return Overload(tuple(parameters), returns.strip())


def _split(text: str) -> list[str]:
    """At commas that are not within brackets."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "([<") - (letter in ")]>")
        if letter == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _last(kind: str) -> str:
    """A type's name without its modules: "tensorrt.ILogger" and "nvinfer1::ILogger" are one."""
    return re.split(r"\.|::", kind)[-1]


class Specified:
    """See the module. `known` is the test's own: what the object stands for."""

    def __init__(self, library: SpecifiedLibrary, kind: type, known: dict[str, Any]):
        object.__setattr__(self, "library", library)
        object.__setattr__(self, "_kind", kind)
        object.__setattr__(self, "known", known)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return self._kind

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._kind, name)  # AttributeError where the real class lacks it
        answer = self.library.answers.get(f"{self._kind.__name__}.{name}")
        if isinstance(member, property):
            if answer is None:
                raise AssertionError(f"the test says nothing of {self._kind.__name__}.{name}")
            return answer(self)
        return lambda *args, **named: self.library.call(self, member, answer, args, named)

    def __setattr__(self, name: str, value: Any) -> None:
        member = getattr(self._kind, name)
        if not isinstance(member, property) or member.fset is None:
            raise AttributeError(f"{self._kind.__name__}.{name} cannot be set")
        self.known[name] = value


class SpecifiedLibrary:
    """A module of bindings whose objects are specified ones."""

    def __init__(self, module: ModuleType, answers: Answers):
        self.answers = answers
        self._kinds = {name: kind for name, kind in vars(module).items() if isinstance(kind, type)}
        for name in ("Runtime", "Builder", "OnnxParser"):  # what is made by name; all else is made by these
            if name in self._kinds:
                setattr(module, name, self._constructor(self._kinds[name]))

    def make(self, kind: str, /, **known: Any) -> Specified:
        return Specified(self, self._kinds[kind], known)

    def call(
        self,
        target: Specified,
        member: Any,
        answer: Callable[..., Any] | None,
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        found = next((bound for o in overloads(member) if (bound := self._bind(o, args, named)) is not None), None)
        if found is None:
            raise TypeError(f"{member.__name__}(): incompatible arguments {args} {named}; it is\n{member.__doc__}")
        overload, values = found
        if answer is not None:
            return answer(target, **values)
        returns = _last(overload.returns)
        return {"None": None, "bool": True}[returns] if returns in ("None", "bool") else self.make(returns)

    def _constructor(self, kind: type) -> Callable[..., Specified]:
        def construct(*args: Any) -> Specified:
            made = Specified(self, kind, {})
            answer = self.answers.get(f"{kind.__name__}.__init__")
            self.call(made, kind.__init__, answer or (lambda made, **values: None), args, {})  # type: ignore[misc]
            return made

        return construct

    def _bind(
        self, overload: Overload, args: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[Overload, dict[str, Any]] | None:
        names = [name for name, _, _ in overload.parameters]
        if len(args) > len(names) or set(named) - set(names[len(args) :]):
            return None
        values = dict(zip(names, args)) | named
        fits = all(
            self._fits(kind, values[name]) if name in values else optional
            for name, kind, optional in overload.parameters
        )
        return (overload, values) if fits else None

    def _fits(self, kind: str, value: Any) -> bool:
        last = _last(kind)
        if last == "Dims":
            return isinstance(value, (tuple, list))
        if last in ("Buffer", "buffer"):
            return isinstance(value, (bytes, bytearray, memoryview))
        plain = {"int": int, "SupportsInt": int, "str": str, "bool": bool, "tuple": tuple, "list": list}
        expected = plain.get(last) or self._kinds.get(last)
        return expected is None or isinstance(value, expected)
