"""What became of a project, in a few lines for people: ports and how they were found, volumes, the public
service, shared stores. Printed behind the findings of `convert`.

No cluster is asked, so whether there is a shared store to take a service's place is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.compose import BindingFact, Plan, ServiceFacts, VolumeFacts


def render_facts(result: Plan) -> str:
    """One line each; nothing for what the project does not have."""
    return "".join(f"{line}\n" for line in _lines(result))


def _lines(result: Plan) -> Iterator[str]:
    yield from (
        _service(one) for one in result.services if one.ports or one.sleep_after is not None
    )
    yield from (_volume(one) for one in result.volumes)
    public = result.public
    if public is not None:
        port = f":{public.port}" if public.port else ""
        host = f" as {public.host}" if public.host else ""
        yield f"public service: {public.service}{port}{host} ({public.reason})"
    yield from (_offer(one) for one in result.bindings if not one.wanted)


def _service(service: ServiceFacts) -> str:
    said = [f"{port.port}/{port.protocol} ({port.source})" for port in service.ports]
    if service.sleep_after is not None:
        said.append(
            f"sleeps after {service.sleep_after} s" if service.sleep_after else "never sleeps"
        )
    return f"{service.original_name}: {', '.join(said)}"


def _volume(volume: VolumeFacts) -> str:
    size = "must exist already" if volume.external else volume.size
    return f"volume {volume.original_name}: {size}, used by {', '.join(volume.services)}"


def _offer(binding: BindingFact) -> str:
    use = f"x-skerry: {{use: shared-{binding.kind}}}"
    return f"{binding.original_name}: {binding.reason}; where a cluster has a shared one, {use} takes it instead"
