"""The motions by name, and how far a bend reaches; the command line offers them before NumPy and OpenCV are loaded."""

from __future__ import annotations

from typing import Literal, get_args

MotionName = Literal["auto", "whole", "bend", "stretch"]
MOTIONS: tuple[MotionName, ...] = get_args(MotionName)

BEND_REACH = 0.6  # of the square root of the held area: the Gaussian width over which a bend fades out,
BEND_REACH_IN_MASK = 4.0  # and where someone gave the mask, which says by itself how far a motion goes
