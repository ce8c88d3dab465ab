"""Migrations of 2026."""
