"""Metrics pushed to Prometheus's Pushgateway, for stations that nothing can reach from outside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http.client import HTTPException

from prometheus_client import CollectorRegistry, push_to_gateway

from edgedrag.studio.health.logs import log

JOB = "edgedrag"  # as the job that scrapes stations
PUSH_SECONDS = 60.0
TIMEOUT_SECONDS = 10.0


async def push_for_ever(address: str, station: str, refreshed: Callable[[], CollectorRegistry]) -> None:
    """Push what `refreshed` gives, in place of what this station pushed before; a failure is logged once in a row."""
    failing = False
    while True:
        try:
            await asyncio.to_thread(push_to_gateway, address, JOB, refreshed(), {"instance": station}, TIMEOUT_SECONDS)
            failing = False
        except (OSError, HTTPException) as error:
            if not failing:
                log("metrics cannot be pushed", logging.WARNING, address=address, reason=str(error))
            failing = True
        await asyncio.sleep(PUSH_SECONDS)
