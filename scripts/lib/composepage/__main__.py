"""`PYTHONPATH=scripts/lib python -m composepage` writes the generated parts of docs/compose.md."""

from composepage.page import PAGE, updated

PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
