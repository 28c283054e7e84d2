"""Driving a run with MLCommons' LoadGen, which also writes the logs; needs the package mlcommons-loadgen."""

from __future__ import annotations

import array
import importlib.metadata
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgedrag.benchmarks.latency.mlperf.load import LEAST_QUERIES, PERCENTILE, Act, Query, Settings

NAMES = {"single-stream": "SingleStream", "offline": "Offline", "server": "Server"}


def installed_version() -> str | None:
    """LoadGen's version; None where it is not installed."""
    try:
        return importlib.metadata.version("mlcommons-loadgen")
    except importlib.metadata.PackageNotFoundError:
        return None


class Server:
    """The system under test: LoadGen puts samples into a queue, and one thread runs them.

    Attributes:
        queries: in the order in which they were done, with times of this side.
    """

    def __init__(self, act: Act, answer: Callable[[int], bytes]):
        self.queries: list[Query] = []
        self.error: BaseException | None = None
        self._act, self._answer = act, answer
        self._waiting: queue.Queue[tuple[int, int, float] | None] = queue.Queue()
        self._accuracy = threading.Event()
        self._begin = time.perf_counter()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def issue(self, samples: Any) -> None:
        """LoadGen's callback: samples arrive."""
        now = time.perf_counter() - self._begin
        for sample in samples:
            self._waiting.put((sample.id, sample.index, now))

    def reset(self, accuracy: bool) -> None:
        """Begin a run; answers of an accuracy run hold the edited pixels."""
        (self._accuracy.set if accuracy else self._accuracy.clear)()
        self.queries.clear()

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        import mlperf_loadgen as lg

        while (waiting := self._waiting.get()) is not None:
            response, sample, arrived = waiting
            data, started = b"", time.perf_counter() - self._begin
            try:
                if self.error is None:
                    data = self._answer(sample) if self._accuracy.is_set() else data
                    if not self._accuracy.is_set():
                        self._act(sample)
            except BaseException as error:  # raised in `run`; LoadGen waits for every answer
                self.error = error
            self.queries.append(Query(sample, arrived, started, time.perf_counter() - self._begin))
            held = array.array("B", data or b"\0")  # LoadGen copies it before it returns
            address, length = held.buffer_info()
            lg.QuerySamplesComplete([lg.QuerySampleResponse(response, address, length)])


def run(settings: Settings, act: Act, answer: Callable[[int], bytes], folder: Path) -> list[Query]:
    """Run a scenario, first for accuracy and then for performance; LoadGen writes its logs to a folder.

    Args:
        answer: the edited pixels of a sample, for the accuracy log.

    Returns:
        the queries of the performance run, as this side saw them.
    """
    import mlperf_loadgen as lg

    server = Server(act, answer)
    sut = lg.ConstructSUT(server.issue, lambda: None)
    qsl = lg.ConstructQSL(settings.samples, settings.samples, lambda _: None, lambda _: None)
    logs = lg.LogSettings()
    logs.log_output.outdir = str(folder)
    logs.log_output.copy_summary_to_stdout = False
    logs.enable_trace = False
    try:
        for mode in ("AccuracyOnly", "PerformanceOnly"):
            server.reset(accuracy=mode == "AccuracyOnly")
            lg.StartTestWithLogSettings(sut, qsl, _settings(settings, mode), logs)
            if mode == "AccuracyOnly":
                _keep_accuracy(folder)
    finally:
        server.close()
        lg.DestroyQSL(qsl)
        lg.DestroySUT(sut)
    _restore_accuracy(folder)
    if server.error is not None:
        raise server.error
    return server.queries


def _keep_accuracy(folder: Path) -> None:
    """Move the accuracy run's logs aside: the performance run writes the same names."""
    aside = folder / "accuracy"
    aside.mkdir(exist_ok=True)
    for file in folder.glob("mlperf_log_*"):
        file.replace(aside / file.name)


def _restore_accuracy(folder: Path) -> None:
    """The accuracy log beside the performance logs, where LoadGen leaves an empty list."""
    log = folder / "accuracy" / "mlperf_log_accuracy.json"
    (folder / log.name).write_bytes(log.read_bytes())


def _settings(settings: Settings, mode: str) -> Any:
    import mlperf_loadgen as lg

    test = lg.TestSettings()
    test.scenario = getattr(lg.TestScenario, NAMES[settings.scenario])
    test.mode = getattr(lg.TestMode, mode)
    test.min_duration_ms = round(settings.seconds * 1e3)
    test.min_query_count = 1 if settings.scenario == "offline" else LEAST_QUERIES
    if settings.scenario == "single-stream":
        test.single_stream_expected_latency_ns = round(1e9 / settings.rate)
        test.single_stream_target_latency_percentile = PERCENTILE / 100
    elif settings.scenario == "offline":
        test.offline_expected_qps = max(settings.rate, LEAST_QUERIES / settings.seconds)
    else:
        test.server_target_qps = settings.rate
        test.server_target_latency_ns = round(settings.bound_ms * 1e6)
        test.server_target_latency_percentile = PERCENTILE / 100
    return test
