"""The generated parts of docs/compose.md: every key beside what kompose does with it, and every code.

`python -m composepage` writes them; a test compares. Facts about kompose are data here, because the
agent has no use for them.
"""
