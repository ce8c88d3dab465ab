"""Migrations, shipped in the package and run at start."""
