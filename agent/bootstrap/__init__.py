"""Installs what the platform stands on: add-ons as data, kept installed by a small state machine.

The walk: `catalog` reads the data (`addons/*/addon.toml`, `versions.toml`) into `addon` dataclasses;
`service` runs them, one `reconciler` an add-on, woken by `watches`; each round `observer` looks at the cluster,
`machine` decides what that means, `installer` does it, `record` keeps what the cluster itself cannot
tell (attempts, retry times) in a ConfigMap, and `report` says it to the control plane.

`addon`, `machine`, `helm` and `readiness` are pure; everything that happens comes in as data.
"""
