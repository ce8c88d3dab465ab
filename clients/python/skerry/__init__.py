"""The Skerry SDK: generated stubs, a thin async client, and the wire core both ends of the link share.

    async with skerry.Client("cloud.example:7070", token, ca=Path("ca.crt")) as client:
        async for app in client.apps.list("organizations/default/projects/shop/environments/prod"):
            print(app.name, app.serving_revision)
        try:
            await client.apps.deploy_and_wait(environment, "web", bundle, timeout=300)
        except skerry.errors.RolloutFailed as error:
            print(error.deployment.message)

Data are the generated messages (`skerry.platform.v1`); errors are `skerry.errors`; nobody who uses
the SDK has to import grpc.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from skerry import errors as errors
from skerry.version import VERSION as __version__  # noqa: N811

if TYPE_CHECKING:
    from skerry.client import Client as Client

__all__ = ["Client", "__version__", "errors"]


def __getattr__(name: str) -> object:
    """Load the client when it is first asked for.

    The control plane and the agent import this package for its messages alone, and `skerry --help`
    for nothing: neither should pay for grpc.aio.
    """
    if name == "Client":
        return importlib.import_module("skerry.client").Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
