"""`skerry doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

from skerry.cli.checks import Check, Verdict, examine
from skerry.cli.command import command, single
from skerry.cli.exit_codes import ExitCode
from skerry.cli.output.table import Table, cells
from skerry.cli.output.tone import Tone
from skerry.cli.output.writer import Format
from skerry.cli.run import Run

app = single()

_TONES = {Verdict.OK: Tone.GOOD, Verdict.WARNING: Tone.BUSY, Verdict.FAILED: Tone.BAD}


@command(app, "doctor", scoped=False, examples="skerry doctor\nskerry doctor -o json")
async def doctor(run: Run) -> int:
    """Check the configuration, the connection and the clusters.

    What is wrong comes with what to do about it. Exit code 1 when a check failed.
    """
    checks = [check async for check in examine(run)]
    if run.out.form in (Format.JSON, Format.YAML):
        run.out.data(
            {
                "checks": [
                    {"name": c.name, "verdict": c.verdict.value, "message": c.message, "fix": c.fix}
                    for c in checks
                ]
            }
        )
    else:
        table: Table[Check] = Table(
            ("CHECK", "VERDICT", "MESSAGE"),
            lambda c: cells(c.name, (c.verdict.value, _TONES[c.verdict]), c.message),
        )
        run.out.table(table, checks)
        for check in checks:
            if check.fix:
                run.out.insist(f"{check.name}: {check.fix}", _TONES[check.verdict])
    return ExitCode.FAILED if any(c.verdict is Verdict.FAILED for c in checks) else ExitCode.OK
