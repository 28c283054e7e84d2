"""Errors as answers, in one form: {"detail": for people, "code": for programs}."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from starlette.exceptions import HTTPException

STATUSES = {
    400: "bad_request",
    401: "not_allowed",
    403: "forbidden",
    404: "not_found",
    405: "wrong_method",
    408: "too_slow",
    409: "not_now",
    413: "too_large",
    415: "wrong_type",
    421: "wrong_host",
    422: "unusable",
    429: "too_many",
    500: "failed",
    503: "busy",
}


class Problem(BaseModel):
    """What is wrong and what to do next."""

    detail: str
    code: str


class ApiError(HTTPException):
    """An error as the client gets it: status, detail, headers. FastAPI lets its base through from reading a body."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None):
        super().__init__(status, detail)
        self.status, self.headers = status, headers or {}


def body(status: int, detail: str) -> dict[str, str]:
    """The JSON of a problem."""
    return {"detail": detail, "code": STATUSES.get(status, "failed")}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The description of statuses for OpenAPI."""
    return {status: {"model": Problem, "description": STATUSES[status].replace("_", " ")} for status in statuses}
