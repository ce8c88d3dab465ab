"""The dev cluster: a real Kubernetes on this machine, made from language packages where need be.

`scripts/devcluster` is its command line; `docs/devcluster.md` tells what it does and why. The walk of
an `up`: `cli` → `existing` (is there a cluster to use already?) → `up`, which builds what the
cache lacks (`recipes`, `builds`), starts the programs (`programs`, `process`), imports the local
images (`images`) and applies the manifests, then leaves the rest to `background`.
"""
