"""The bill of materials, from the lock. Called by scripts/sbom.

One component a line of the lock, with the hashes that pip would check. Nothing in it depends on when or where it is made, so that
it can be compared.
"""

import argparse
import json
import pathlib
import re
import sys
import tomllib

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
SBOM = ROOT / "sbom.cdx.json"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def made() -> str:
    """The bill as text."""
    text = LOCK.read_text()
    pins = list(_PIN.finditer(text))
    ends = [*(pin.start() for pin in pins[1:]), len(text)]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bom = Bom()
    bom.metadata.component = Component(
        name=project["name"],
        version=project["version"],
        type=ComponentType.APPLICATION,
        bom_ref="skerry",
    )
    for pin, end in zip(pins, ends, strict=True):
        name, version = pin["name"], pin["version"]
        purl = PackageURL("pypi", None, name.lower(), version)
        hashes = sorted(set(_HASH.findall(text, pin.end(), end)))
        if not hashes:
            sys.exit(f"sbom: {name} has no hash in {LOCK.name}")
        bom.components.add(
            Component(
                name=name,
                version=version,
                type=ComponentType.LIBRARY,
                purl=purl,
                bom_ref=str(purl),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=value) for value in hashes],
            )
        )
    bom.register_dependency(bom.metadata.component, bom.components)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    # The moment and the number of the run would make each one differ.
    document.pop("serialNumber", None)
    document["metadata"].pop("timestamp", None)
    for component in document["components"]:
        component["hashes"].sort(key=lambda item: item["content"])
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def main() -> None:
    """Writes or compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    wanted = made()
    if not parser.parse_args().check:
        SBOM.write_text(wanted)
        print(f"{SBOM.name}: {len(_PIN.findall(LOCK.read_text()))} components")
    elif not SBOM.exists() or SBOM.read_text() != wanted:
        sys.exit(f"{SBOM.name} is not what {LOCK.name} says: run scripts/sbom")


main()
