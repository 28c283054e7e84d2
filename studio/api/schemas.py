"""The fields of requests and answers; the OpenAPI description is made from these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from edgedrag.runtime.drag.brush import BrushName
from edgedrag.runtime.drag.checks import Verdict
from edgedrag.runtime.drag.drags import MAX_DRAGS, Drag
from edgedrag.runtime.drag.motion import MotionName
from edgedrag.runtime.drag.reasons import Reason, ReasonCode
from edgedrag.runtime.photo.stored import CONVERTED
from edgedrag.studio.editing.frames import GRID_SIDE, view_size
from edgedrag.studio.editing.sessions import (
    MAX_STEPS,
    EditParameters,
    FinishedEdit,
    Session,
    StrokeParameters,
    mask_size,
)
from edgedrag.studio.station import Station

MAX_POINTS = 3000  # of a stroke: as many as a message of 64 kB holds
MAX_CELLS = 512  # of a flow's grid, on each side

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Point = Annotated[list[Number], Field(min_length=2, max_length=2, description="x, y in pixels of the photo")]
Pull = Annotated[list[Point], Field(min_length=2, max_length=2, description="handle, target")]
Pulls = Annotated[list[Pull], Field(min_length=1, max_length=MAX_DRAGS)]
Steps = Annotated[int | None, Field(strict=True, ge=1, le=MAX_STEPS)]
Answer = Literal["part", "thing", "group", "neighbourhood"]
Whole = Annotated[int, Field(strict=True, ge=0)]
Cells = Annotated[int, Field(strict=True, ge=1, le=MAX_CELLS)]
WarningCode = Literal["left_out", "inks", "eight_bits", "mask_is_whole"]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**64)]


MAX_SCREEN = 16384  # pixels


class StrictModel(BaseModel):
    """Rejects unknown fields."""

    model_config = ConfigDict(extra="forbid")


class EditRequest(StrictModel):
    """An edit: drags, and the motion alone where `motion_only`."""

    drags: Pulls
    motion: MotionName = "auto"
    answer: Answer = Field("thing", description="what each drag holds where no mask is painted")
    motion_only: Annotated[bool, Field(strict=True)] = False
    steps: Steps = None
    seed: Seed | None = None

    def parameters(self, station: Station) -> EditParameters:
        """With the station's steps and seed where none are given."""
        settings = station.settings
        seed = settings.seed if self.seed is None else self.seed
        steps = self.steps or settings.steps
        return EditParameters(as_drags(self.drags), self.motion_only, steps, seed, self.motion, self.answer)


class StrokeRequest(StrictModel):
    """A stroke of a brush; a point that is repeated lets it rest."""

    brush: BrushName
    path: Annotated[list[Point], Field(min_length=1, max_length=MAX_POINTS)]
    radius: Annotated[Number, Field(description="in pixels of the photo")]
    strength: Annotated[Number, Field(gt=0, le=1)] = 1.0

    def parameters(self) -> StrokeParameters:
        return StrokeParameters(self.brush, self.path, self.radius, self.strength)


class About(BaseModel):
    """A station."""

    version: str
    started: float = Field(description="when the station was started, seconds since 1970")
    idle_seconds: float
    pixels_kept: bool = Field(description="staff hold bad edits for review")
    shares: bool = Field(description="the station gives links to take pictures along")


class Warning(BaseModel):
    """What the visitor should know about a photo or a mask that is used all the same."""

    code: WarningCode
    detail: str = Field(description="in English")


class SessionState(BaseModel):
    """A session; sizes are null until there is a photo."""

    session: str
    width: int | None
    height: int | None
    view_width: int | None
    view_height: int | None
    mask_width: int | None
    mask_height: int | None
    undo: int = Field(description="edits that can be undone")
    redo: int
    mask: Literal["automatic", "painted"]
    protected: bool = Field(description="a part of the photo must not change")
    idle_seconds: float = Field(description="without a request for so long, the session is wiped")
    pixels_kept: bool = Field(description="staff hold bad edits for review")
    jpeg_loses: list[str] = Field(
        description="what JPEG cannot hold of the photo: metadata, or transparency and depth, with which it is refused"
    )
    warnings: list[Warning] = Field(description="of the photo as it was opened, and of the painted mask")


class StepDown(BaseModel):
    """A backend that would come first but does not serve, and why."""

    backend: str
    code: str
    reason: str


class EditResult(BaseModel):
    """A finished edit."""

    verdict: Verdict
    reasons: list[str] = Field(description="why, in English")
    codes: list[ReasonCode] = Field(description="of each reason, for programs and translations")
    values: list[dict[str, int]] = Field(description="of each reason, by name: `pixels` of a `missed`")
    boxes: list[list[int] | None] = Field(
        description="where each is at its worst: left, top, right, bottom in the photo"
    )
    landing_error_px: float | None
    timings_ms: dict[str, float]
    steps: int
    seed: int
    backend: str
    precision: str
    fallback: list[StepDown]
    warnings: list[Warning] = Field(description="of the mask that was painted")
    state: SessionState


class PreviewMessage(StrictModel):
    type: Literal["preview"]
    id: int
    drags: Pulls
    motion: MotionName = "auto"
    answer: Answer = "thing"
    grid: Annotated[int, Field(strict=True, ge=8, le=GRID_SIDE, description="cells of a side, at most")] = GRID_SIDE


class HoldMessage(StrictModel):
    type: Literal["hold"]
    id: int
    point: Point
    answer: Answer | None = Field(None, description="all of them where null")


class EditMessage(EditRequest):
    type: Literal["edit"]
    id: int
    screen: Annotated[int, Field(strict=True, ge=64, le=MAX_SCREEN)] | None = Field(
        None, description="of a screen, how many of its pixels the photo's longer side takes: a draft comes first"
    )


class StrokeMessage(StrokeRequest):
    type: Literal["stroke"]
    id: int


class FlowMessage(StrictModel):
    type: Literal["flow"]
    id: int
    box: Annotated[list[Whole], Field(min_length=4, max_length=4, description="left, top, width, height in the photo")]
    grid: Annotated[list[Cells], Field(min_length=2, max_length=2, description="cells, w and h")]


class PlainMessage(StrictModel):
    type: Literal["undo", "redo", "cancel", "touch", "answers", "restore", "ping"]
    id: int


Message = PreviewMessage | HoldMessage | EditMessage | StrokeMessage | FlowMessage | PlainMessage
INCOMING: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def as_drags(pulls: list[list[list[float]]]) -> list[Drag]:
    """The drags as the runtime takes them."""
    return [((h[0], h[1]), (t[0], t[1])) for h, t in pulls]


def state(station: Station, session: Session) -> SessionState:
    """A session as it is now."""
    size = session.size
    view, mask = (None, None) if size is None else (view_size(*size), mask_size(*size))
    return SessionState(
        session=session.id,
        width=size[1] if size else None,
        height=size[0] if size else None,
        view_width=view[1] if view else None,
        view_height=view[0] if view else None,
        mask_width=mask[1] if mask else None,
        mask_height=mask[0] if mask else None,
        undo=session.undo_count,
        redo=session.redo_count,
        mask="automatic" if session.mask is None else "painted",
        protected=session.protected is not None,
        idle_seconds=station.settings.idle_seconds,
        pixels_kept=station.records.review.pixels,
        jpeg_loses=list(session.jpeg_loses),
        warnings=[
            *(Warning(code=_what(sentence), detail=sentence) for sentence in session.left_out),
            *_mask_warnings(session.mask),
        ],
    )


def _what(sentence: str) -> WarningCode:
    """The code of a warning of a photo's file."""
    return next((code for code, text in CONVERTED.items() if sentence.endswith(text)), "left_out")


def _mask_warnings(mask: np.ndarray | None) -> list[Warning]:
    """Of a painted mask, as `edgedrag drag` has them."""
    if mask is None or not mask.all():
        return []
    return [Warning(code="mask_is_whole", detail="mask: is the whole photo, so all of it may change")]


def reason_fields(reasons: Sequence[Reason]) -> dict[str, list[Any]]:
    """Reasons as EditResult has them."""
    return {
        "reasons": [str(reason) for reason in reasons],
        "codes": [reason.code.value for reason in reasons],
        "values": [dict(reason.values) for reason in reasons],
    }


def result(station: Station, session: Session, edited: FinishedEdit) -> dict[str, Any]:
    """An edit as EditResult has it."""
    checks = edited.edit.checks
    return {
        "verdict": checks.verdict,
        **reason_fields(checks.reasons),
        "boxes": [None if reason.box is None else list(reason.box) for reason in checks.reasons],
        "landing_error_px": checks.landing_error_px,
        "timings_ms": edited.edit.timings,
        "steps": edited.edit.steps,
        "seed": edited.edit.seed,
        "backend": edited.edit.backend,
        "precision": edited.edit.precision,
        "fallback": [asdict(step) for step in edited.edit.fallback],
        "warnings": [w.model_dump() for w in _mask_warnings(edited.edit.mask if edited.painted else None)],
        "state": state(station, session).model_dump(),
    }
