"""The commands, one module each; imported by `skerry.cli.tree` when one is called."""
