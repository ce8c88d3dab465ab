"""The keys that leave a terminal and let its command run on: `ctrl-p,ctrl-q`, as Docker has them."""

from __future__ import annotations

from skerry.cli.exit_codes import UsageError

DEFAULT = "ctrl-p,ctrl-q"


class DetachKeys:
    """Looks for a sequence of keys in what is typed. Keys that may begin it are held back until the next one decides."""

    def __init__(self, sequence: bytes) -> None:
        self._sequence = sequence
        self._held = 0

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What of it goes to the command, and whether the sequence is complete; what is typed behind it is dropped."""
        if not self._sequence:
            return typed, False
        passed = bytearray()
        for key in typed:
            while self._held and key != self._sequence[self._held]:
                self._fall_back(passed)
            if key != self._sequence[self._held]:
                passed.append(key)
                continue
            self._held += 1
            if self._held == len(self._sequence):
                return bytes(passed), True
        return bytes(passed), False

    def _fall_back(self, passed: bytearray) -> None:
        """The longest end of what is held that begins the sequence stays; what is before it goes to the command."""
        held = self._sequence[: self._held]
        for start in range(1, len(held) + 1):
            if self._sequence.startswith(held[start:]):
                passed += held[:start]
                self._held = len(held) - start
                return


def parse(text: str) -> bytes:
    """The bytes of `ctrl-p,ctrl-q` or `ctrl-],d`; empty text switches detaching off. Raises UsageError."""
    if not text:
        return b""
    return b"".join(_key(part) for part in text.split(","))


def _key(part: str) -> bytes:
    if len(part) == 1 and part.isascii():
        return part.encode()
    word, _, letter = part.partition("-")
    if word.lower() == "ctrl" and len(letter) == 1 and "@" <= letter.upper() <= "_":
        return bytes([ord(letter.upper()) & 0x1F])
    raise UsageError(
        f"--detach-keys: {part!r} is no key: write single characters or ctrl-a to ctrl-z, ctrl-@, ctrl-[, ctrl-\\, "
        "ctrl-], ctrl-^, ctrl-_, separated by commas"
    )
