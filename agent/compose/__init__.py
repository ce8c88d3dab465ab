"""The compose converter: text in, plan out. Pure: yaml and the standard library, no I/O, no clock,
no logging.

`plan()` is the one entry point; the types here are the whole interface. How it works inside, in the
order a value travels: `loader` (YAML → merged nodes), `keys` (the one table of keys) with `check`,
`model`, then `planner`.
"""

from agent.compose.context import Context, Limits, SourceFile
from agent.compose.diagnostics import Diagnostic, Severity
from agent.compose.planner import plan
from agent.compose.result import (
    BindingFact,
    DataService,
    HostAlias,
    Manifest,
    Plan,
    PortFact,
    PortSource,
    PublicGuess,
    ServiceFacts,
    VolumeFacts,
    WaitFor,
    Wave,
    WorkloadKind,
)

__all__ = [
    "BindingFact",
    "Context",
    "DataService",
    "Diagnostic",
    "HostAlias",
    "Limits",
    "Manifest",
    "Plan",
    "PortFact",
    "PortSource",
    "PublicGuess",
    "ServiceFacts",
    "Severity",
    "SourceFile",
    "VolumeFacts",
    "WaitFor",
    "Wave",
    "WorkloadKind",
    "plan",
]
