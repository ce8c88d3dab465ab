"""Migrations by year."""
