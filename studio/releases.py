"""The station's bundle as it is switched: the release that serves is opened, and its first edits are judged."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

from edgedrag.runtime.bundle.installed import Serving
from edgedrag.runtime.bundle.manifest import find_bundle
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.releases.store import serving_or_none
from edgedrag.runtime.releases.switch import pass_trial, rollback
from edgedrag.runtime.session.runtime import Runtime, open_with
from edgedrag.studio.health.logs import log
from edgedrag.studio.records.trial import TrialRun


class Releases:
    """The runtime that new photos get.

    Attributes:
        runtime: of the release that serves; photos keep the one that they were opened with.
    """

    def __init__(self, runtime: Runtime, recent_ms: Callable[[], list[float]]):
        """`recent_ms` gives the times of the newest edits."""
        self.runtime = runtime
        self._name = str(runtime.options.bundle)
        self._recent_ms = recent_ms
        self._before: Runtime | None = None
        self._refused: Path | None = None  # a release that this station goes back from
        self._trial = self._started_trial()

    def open_newer(self) -> Runtime | None:
        """Open the release that serves, where it is another one; on any thread.

        One that cannot be opened is rolled back: what is open serves on.
        """
        try:
            folder = find_bundle(self._name)
        except EdgedragError:
            return None
        if folder in (self.runtime.bundle.folder, self._refused):
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # said at the start, for the same engine
                return open_with(self.runtime.options)
        except EdgedragError as error:
            self._go_back(folder, str(error))
            return None

    def adopt(self, runtime: Runtime) -> None:
        """Let new photos have it; on the event loop's thread."""
        self._before, self.runtime, self._refused = self.runtime, runtime, None
        self._trial = self._started_trial()
        if self._trial is None:
            self._before = None
        log("bundle switched", bundle=runtime.bundle.name, release=runtime.bundle.folder.name)

    def judge(self, runtime: Runtime | None, bad: bool, spent_ms: float | None) -> None:
        """Count an edit where its release is on trial, and go back to the one before where that is not kept to."""
        if self._trial is None or runtime is not self.runtime:
            return
        reason = self._trial.add(bad, spent_ms)
        if reason is not None:
            self._go_back(runtime.bundle.folder, reason)
        elif self._trial.over:
            self._end_trial(runtime.bundle.folder)

    def _started_trial(self) -> TrialRun | None:
        serving = self._serving()
        if serving is None or serving.trial is None or not serving.before:
            return None
        return TrialRun(serving.trial, self._recent_ms())

    def _serving(self) -> Serving | None:
        return None if Path(self._name).is_dir() else serving_or_none(self._name)

    def _end_trial(self, folder: Path) -> None:
        self._trial = self._before = None
        try:
            pass_trial(self._name, folder.name)
        except EdgedragError as error:
            log("the trial's end cannot be written", logging.ERROR, reason=str(error))
        log("trial passed", release=folder.name)

    def _go_back(self, folder: Path, reason: str) -> None:
        log("bundle rolled back", logging.WARNING, release=folder.name, reason=reason)
        self._refused, self._trial = folder, None
        if self._before is not None and folder == self.runtime.bundle.folder:
            self.runtime, self._before = self._before, None
        try:
            rollback(self._name, reason, only=folder.name)
        except EdgedragError as error:
            log("the rollback cannot be written", logging.ERROR, reason=str(error))
