"""What edits photos on the device."""

import os

# Before NumPy and OpenCV load, each with an OpenBLAS: when these start, and after each of their runs, their threads
# spin for 2^26 cycles, on cores that the graphs need. 2^16 are 30 microseconds.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "16")
