"""Readings of an NVIDIA GPU through NVML; empty without one."""

from __future__ import annotations

from typing import Any

IDLE = 1  # bit of the throttle reasons: low clocks because the GPU is idle


class Card:
    """The first GPU of the system.

    Attributes:
        reason: why there are no readings; None if a GPU is available.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        try:
            import pynvml

            pynvml.nvmlInit()
            self._nvml: Any = pynvml
            self._card = pynvml.nvmlDeviceGetHandleByIndex(0)
        except ImportError:
            self.reason = "nvidia-ml-py is not installed (extra [report])"
        except Exception as error:  # NVML's errors have no other base class
            self.reason = f"the NVIDIA driver is not available ({error})"

    def _ask(self, question: str, *arguments: Any) -> Any:
        """The result of an NVML query; None if it is not supported."""
        if self.reason is not None:
            return None
        try:
            return getattr(self._nvml, question)(self._card, *arguments)
        except self._nvml.NVMLError:
            return None

    def joules(self) -> float | None:
        """Energy since the driver was loaded, J."""
        millijoules = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if millijoules is None else millijoules / 1e3

    def watts(self) -> float | None:
        milliwatts = self._ask("nvmlDeviceGetPowerUsage")
        return None if milliwatts is None else milliwatts / 1e3

    def memory_mb(self, pid: int) -> float | None:
        """GPU memory of a process, MiB."""
        running = self._ask("nvmlDeviceGetComputeRunningProcesses") or ()
        used = [process.usedGpuMemory for process in running if process.pid == pid and process.usedGpuMemory]
        return round(sum(used) / 2**20, 1) if used else None

    def state(self) -> dict[str, Any]:
        """Clock, temperature and throttle reasons, as far as supported."""
        reasons = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        readings = {
            "gpu_mhz": self._ask("nvmlDeviceGetClockInfo", 0),
            "gpu_c": self._ask("nvmlDeviceGetTemperature", 0),
            "gpu_throttle_reasons": None if reasons is None else int(reasons) & ~IDLE,
        }
        return {name: value for name, value in readings.items() if value is not None}

    def identity(self) -> dict[str, Any] | None:
        """Name, driver, memory and power limit."""
        if self.reason is not None:
            return None
        memory, limit = self._ask("nvmlDeviceGetMemoryInfo"), self._ask("nvmlDeviceGetEnforcedPowerLimit")
        return {
            "name": str(self._ask("nvmlDeviceGetName")),
            "driver": str(self._nvml.nvmlSystemGetDriverVersion()),
            "memory_mb": None if memory is None else memory.total // 2**20,
            "power_limit_w": None if limit is None else limit / 1e3,
        }
