"""What there is to say about a compose project while somebody types: the converter alone, no cluster.

Called by `agent.handlers.check` for each pause in typing, so most answers are for a text that has
already changed: a check that nobody waits for any more is not begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace

from agent.compose import Plan
from agent.workloads.conversion import ConversionSettings, PlanFunction, converter_input
from agent.workloads.model import DeployRequest


class Checker:
    """`executor` runs the converter beside the event loop. Few workers are best: conversions share
    one interpreter, and a queue is what lets an outdated one be dropped."""

    def __init__(
        self, plan: PlanFunction, executor: Executor, settings: ConversionSettings | None = None
    ) -> None:
        self._plan = plan
        self._executor = executor
        self._settings = settings or ConversionSettings()

    async def check(self, request: DeployRequest, profiles: Sequence[str] = ()) -> Plan:
        """The plan, for its diagnostics and facts. Raises WorkloadError (a compose file that is
        named was not sent)."""
        sources, context = converter_input(request, self._settings)
        context = replace(context, profiles=tuple(profiles))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._plan, sources, context)
