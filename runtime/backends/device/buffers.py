"""Device memory that is allocated once and used again."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import numpy as np

from edgedrag.runtime.backends.device.interface import Device
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EngineError

Room = tuple[str, int]  # whose memory it is, and how many bytes


class DeviceArray:
    """An array on the device; its memory goes back to the buffers when nothing refers to it any more."""

    def __init__(self, address: int, shape: tuple[int, ...], dtype: np.dtype):
        self.address, self.shape, self.dtype = address, shape, dtype

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class Buffers:
    """Memory by owner and size, first in, first out: a drag like the last one gets the same addresses.

    One stream orders everything: what is given back may be written again at once.
    """

    def __init__(self, device: Device, make_room: Callable[[], bool]):
        """`make_room`: frees something else on the device, or says that there is nothing left to free."""
        self.device = device
        self._make_room = make_room
        self._spare: dict[Room, list[int]] = {}
        self._sizes: dict[int, int] = {}  # of all memory held, by address
        self._watchers: list[Callable[[int], None]] = []

    @property
    def held_bytes(self) -> int:
        return sum(self._sizes.values())

    def watch(self, forget: Callable[[int], None]) -> None:
        """Have `forget` called with each address that is freed: what was recorded on it is void."""
        self._watchers.append(forget)

    def take(self, owner: str, shape: tuple[int, ...], dtype: np.dtype | str) -> DeviceArray:
        """An array of undefined content. Raises EngineError, "out-of-memory"."""
        array = DeviceArray(0, tuple(shape), np.dtype(dtype))
        room = (owner, max(array.nbytes, 1))
        spare = self._spare.get(room)
        array.address = spare.pop(0) if spare else self.allocate(room[1])
        weakref.finalize(array, self._give_back, room, array.address).atexit = False
        return array

    def allocate(self, nbytes: int) -> int:
        """New memory; spare memory is freed for it, then room made, where there is none."""
        while True:
            try:
                address = self.device.allocate(nbytes)
                self._sizes[address] = nbytes
                return address
            except MemoryError:
                if not (self.trim() or self._make_room()):
                    raise EngineError(
                        f"out of memory on the device: {nbytes / 1e6:.0f} MB are needed, "
                        f"{self.device.free_bytes() / 1e6:.0f} MB are free; close other programs, or take a "
                        "smaller bundle",
                        Code.OUT_OF_MEMORY,
                    ) from None

    def free(self, address: int) -> None:
        """Give memory back to the device."""
        del self._sizes[address]
        for forget in self._watchers:
            forget(address)
        self.device.free(address)

    def trim(self) -> bool:
        """Free all that is spare; whether there was any."""
        spare = [address for addresses in self._spare.values() for address in addresses]
        self._spare.clear()
        for address in spare:
            self.free(address)
        return bool(spare)

    def _give_back(self, room: Room, address: int) -> None:
        self._spare.setdefault(room, []).append(address)
