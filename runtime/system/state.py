"""The state of the machine that decides its speed: board, power mode, clocks, throttling, memory and swap."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgedrag.runtime.system.memory import read_memory
from edgedrag.runtime.system.power_mode import available_modes, current_mode, fastest_mode
from edgedrag.runtime.system.sensors import board, clock_limits, clocks, governor, temperatures, throttling

GB = 1e9


def system_state(root: Path = Path("/")) -> dict[str, Any]:
    """All of it at this moment, None or {} for what the system does not show; read under a root folder."""
    mode, fastest, memory = current_mode(root), fastest_mode(available_modes(root)), read_memory(root)
    return {
        "board": board(root),
        "power_mode": None if mode is None else asdict(mode),
        "fastest_power_mode": None if fastest is None else asdict(fastest),
        "governor": governor(root),
        "clocks": clocks(root),
        "clock_limits": clock_limits(root),
        "temperatures_c": temperatures(root),
        "throttle": throttling(root),
        "memory_bytes": None if memory is None else asdict(memory),
    }


def describe_system(state: dict[str, Any]) -> list[str]:
    """Lines for people; none for what the system does not show."""
    lines = []
    if state["board"]:
        lines.append(f"board: {state['board']}")
    if state["power_mode"]:
        lines.append(f"power mode: {_power_mode(state)}")
    if state["clocks"]:
        lines.append(f"clocks: {_clocks(state)}")
    if state["throttle"]:
        lines.append(f"throttling: {_throttling(state)}")
    if state["memory_bytes"]:
        lines.append(f"memory: {_memory(state['memory_bytes'])}")
    return lines


def _power_mode(state: dict[str, Any]) -> str:
    mode, fastest = state["power_mode"], state["fastest_power_mode"]
    shown = f"{mode['name']} ({mode['id']})"
    if fastest is None:
        return shown
    if fastest["id"] == mode["id"]:
        return f"{shown}, the fastest"
    return f"{shown}; {fastest['name']} is the fastest: sudo nvpmodel -m {fastest['id']}"


def _clocks(state: dict[str, Any]) -> str:
    parts = []
    for name, now in state["clocks"].items():
        limit = state["clock_limits"].get(name)
        of = "" if limit is None else f" of {limit:.0f}"
        parts.append(f"{name.removesuffix('_mhz').upper()} {now:.0f}{of} MHz")
    if state["governor"]:
        parts.append(f"CPU governor {state['governor']}")
    return ", ".join(parts)


def _throttling(state: dict[str, Any]) -> str:
    """What is not zero, and the highest temperature beside it."""
    active = [f"{name} {count}" for name, count in state["throttle"].items() if count > 0]
    heat = max(state["temperatures_c"].values(), default=None)
    at = "" if heat is None else f"; hottest sensor {heat:.0f} degrees Celsius"
    return (", ".join(active) + " (counts since start, states now)" if active else "none seen") + at


def _memory(memory: dict[str, int]) -> str:
    text = f"{memory['free'] / GB:.1f} of {memory['total'] / GB:.1f} GB free, swap on disk {memory['swap'] / GB:.1f} GB"
    return text + (f", zram {memory['zram'] / GB:.1f} GB (not counted for builds)" if memory["zram"] else "")
