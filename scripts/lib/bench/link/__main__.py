"""One end of a measurement, in a process of its own: `serve HOST` or `drive TARGET PLAN`. Started by `ends` and `echo`."""

from __future__ import annotations

import dataclasses
import json
import sys

import uvloop

from bench.link.ends import Plan, drive, serve

if sys.argv[1] == "serve":
    uvloop.run(serve(sys.argv[2]))
else:
    print(
        json.dumps(
            dataclasses.asdict(uvloop.run(drive(sys.argv[2], Plan(**json.loads(sys.argv[3])))))
        )
    )
