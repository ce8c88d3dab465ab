"""`python -m devcluster`, which is what `scripts/devcluster` runs."""

from devcluster.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
