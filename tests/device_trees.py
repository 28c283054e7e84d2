"""Trees of files in /proc, /sys and /etc, like those that devices show."""

from __future__ import annotations

from pathlib import Path

RAPL = "sys/class/powercap/intel-rapl:0"
INA = "sys/class/hwmon/hwmon1"
NVPMODEL = """\
# FORMAT:
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_0 /sys/devices/system/cpu/cpu0/online

< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=3 NAME=7W >
CPU_ONLINE CORE_0 1
< PM_CONFIG DEFAULT=1 >
"""
MEMINFO = """\
MemTotal:        7802000 kB
MemFree:          500000 kB
MemAvailable:    6400000 kB
SwapTotal:      12288000 kB
SwapFree:       12000000 kB
"""
SWAPS = """\
Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/zram0                              partition\t1950000\t\t1000\t\t5
/dev/zram1                              partition\t1950000\t\t0\t\t5
/swap\\040file                            file\t\t8388604\t\t388604\t\t-2
"""


def write(root: Path, files: dict[str, str | int]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return root


def workstation(root: Path) -> Path:
    cpu = "sys/devices/system/cpu"
    return write(
        root,
        {
            f"{RAPL}/name": "package-0", f"{RAPL}/energy_uj": 262_140_000_000,
            f"{RAPL}/max_energy_range_uj": 262_143_328_850,
            f"{RAPL}:0/name": "core", f"{RAPL}:0/energy_uj": 5, f"{RAPL}:0/max_energy_range_uj": 262_143_328_850,
            f"{cpu}/cpu0/cpufreq/scaling_cur_freq": 3_400_000, f"{cpu}/cpu1/cpufreq/scaling_cur_freq": 3_600_000,
            f"{cpu}/cpu0/cpufreq/scaling_governor": "performance",
            f"{cpu}/cpu0/thermal_throttle/core_throttle_count": 2,
            f"{cpu}/cpu1/thermal_throttle/core_throttle_count": 3,
            "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp", "sys/class/thermal/thermal_zone0/temp": 61_500,
        },
    )  # fmt: skip


def orin_nano(root: Path) -> Path:
    """An Orin Nano of JetPack 6.2 with a swap file of 8 GB beside its zram; no answer of nvpmodel itself."""
    rails = {"1": ("VDD_IN", 5000, 1200), "2": ("VDD_CPU_GPU_CV", 5000, 400), "3": ("VDD_SOC", 5000, 200)}
    files: dict[str, str | int] = {f"{INA}/name": "ina3221", "sys/class/hwmon/hwmon0/name": "pwmfan"}
    for channel, (label, millivolts, milliamperes) in rails.items():
        files |= {
            f"{INA}/in{channel}_label": label, f"{INA}/in{channel}_input": millivolts,
            f"{INA}/curr{channel}_input": milliamperes,
        }  # fmt: skip
    files |= {
        f"{INA}/in7_label": "sum of shunt voltages", f"{INA}/in7_input": 3,
        "sys/class/devfreq/17000000.gpu/cur_freq": 624_750_000,
        "sys/class/devfreq/17000000.gpu/max_freq": 1_020_000_000,
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": 1_510_400,
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": 1_728_000,
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil",
        "sys/class/hwmon/hwmon2/oc1_event_cnt": 0,
        "sys/class/thermal/thermal_zone0/type": "gpu-thermal", "sys/class/thermal/thermal_zone0/temp": 48_250,
        "sys/class/thermal/cooling_device0/type": "pwm-fan", "sys/class/thermal/cooling_device0/cur_state": 2,
        "sys/class/thermal/cooling_device1/type": "gpu-throttle-alert",
        "sys/class/thermal/cooling_device1/cur_state": 1,
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "proc/meminfo": MEMINFO, "proc/swaps": SWAPS,
        "etc/nvpmodel.conf": NVPMODEL, "var/lib/nvpmodel/status": "pmode:0001",
    }  # fmt: skip
    return write(root, files)
