"""Recorded runs of networks (CUDA graphs), each bound to the addresses and shapes that it was recorded with."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from edgedrag.runtime.backends.device.interface import Device, Recording
from edgedrag.runtime.errors import EngineError

LIMIT = 4  # of one graph; photos that take turns need one each

Signature = tuple[tuple[str, int, tuple[int, ...]], ...]  # name, address and shape of each input and output


class Recordings:
    """Of one network: run directly when its signature is new, recorded the second time, replayed from then on."""

    def __init__(self, device: Device):
        self._device = device
        self._met: OrderedDict[Signature, Recording | None] = OrderedDict()
        self._can_record = True

    def run(self, signature: Signature, work: Callable[[], None]) -> None:
        """Do `work`, which puts the network on the stream with this signature bound."""
        if signature not in self._met or not self._can_record:
            work()
            self._met[signature] = None
        else:
            self._replay(signature, work)
        self._met.move_to_end(signature)
        while len(self._met) > LIMIT:
            self._release([next(iter(self._met))])

    def forget(self, address: int) -> None:
        """Drop what was recorded on memory that is freed."""
        self._release([s for s in self._met if any(address == bound for _, bound, _ in s)])

    def clear(self) -> None:
        self._release(list(self._met))

    @property
    def recorded(self) -> int:
        return sum(recording is not None for recording in self._met.values())

    def _replay(self, signature: Signature, work: Callable[[], None]) -> None:
        recording = self._met[signature]
        if recording is None:
            try:
                recording = self._met[signature] = self._device.record(work)
            except EngineError:  # not every engine can be recorded; it runs all the same
                self._can_record = False
                work()
                return
        recording.run()

    def _release(self, signatures: Iterable[Signature]) -> None:
        for signature in signatures:
            recording = self._met.pop(signature)
            if recording is not None:
                recording.release()
