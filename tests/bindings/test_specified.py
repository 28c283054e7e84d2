"""The objects that stand for NVIDIA's: they refuse what the real classes refuse."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from specified import Overload, SpecifiedLibrary, overloads


class Strategy:
    """As an enumeration of pybind11."""


class IContext:
    name = property(lambda self: "")
    size = property(lambda self: 0, lambda self, value: None)


class Runtime:
    def __init__(self, *args: Any) -> None: ...

    def create(self, *args: Any, **named: Any) -> None: ...


Runtime.__init__.__doc__ = "__init__(self: lib.Runtime, logger: lib.Strategy) -> None"
Runtime.create.__doc__ = """create(*args, **kwargs)
Overloaded function.

1. create(self: lib.Runtime, strategy: lib.Strategy = <Strategy.A: 0>) -> lib.IContext

    Text.

2. create(self: lib.Runtime, shape: tuple, last: typing.SupportsInt, names: Dict[str, int] = None) -> bool
"""


@pytest.fixture
def runtime() -> Any:
    module: Any = ModuleType("lib")
    module.Strategy, module.IContext, module.Runtime = Strategy, IContext, Runtime
    SpecifiedLibrary(module, {"IContext.name": lambda context: "stated"})
    return module.Runtime(Strategy())


def test_signatures_are_those_of_the_docstring() -> None:
    assert overloads(Runtime.create) == [
        Overload((("strategy", "lib.Strategy", True),), "lib.IContext"),
        Overload(
            (("shape", "tuple", False), ("last", "typing.SupportsInt", False), ("names", "Dict[str, int]", True)),
            "bool",
        ),
    ]


def test_what_a_call_gives_back_is_of_the_class_that_its_signature_names(runtime: Any) -> None:
    assert isinstance(runtime, Runtime) and isinstance(runtime.create(), IContext)
    assert isinstance(runtime.create(strategy=Strategy()), IContext)
    assert runtime.create((1, 2), last=2) is True
    assert runtime.create().name == "stated"


@pytest.mark.parametrize("args", [(1,), (Strategy(), 1), ((), "x"), ((), 1, {}, 2)])
def test_a_call_that_no_signature_takes_raises(runtime: Any, args: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="incompatible arguments"):
        runtime.create(*args)
    with pytest.raises(TypeError, match="incompatible arguments"):
        runtime.create(unknown=1)


def test_an_attribute_that_the_class_lacks_raises(runtime: Any) -> None:
    context = runtime.create()
    with pytest.raises(AttributeError, match="absent"):
        context.absent()
    with pytest.raises(AttributeError, match="absent"):
        context.absent = 1
    with pytest.raises(AttributeError, match="cannot be set"):
        context.name = "x"
    context.size = 5
    with pytest.raises(AssertionError, match=r"says nothing of IContext\.size"):
        context.size  # noqa: B018
