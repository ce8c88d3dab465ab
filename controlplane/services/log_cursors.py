"""How far each container's log was delivered, so that a broken stream goes on with no line lost or doubled.

Looks at the last line of each chunk only: a follow moves tens of thousands of lines a second, and all of them pass here.
Used by `services/logs.py`.
"""

from collections import OrderedDict

from controlplane.domain.logs import LogCursor, LogEvent

# Containers come and go during a long follow; the ones read longest ago are forgotten first.
_CONTAINERS_MAX = 1000


class LogCursors:
    """The last line of each container."""

    def __init__(self) -> None:
        self._cursors: OrderedDict[tuple[str, str], LogCursor] = OrderedDict()

    def advance(self, event: LogEvent) -> None:
        """These lines are delivered."""
        lines = event.lines
        if not lines:
            return
        time, count, all_same = _last_time(lines)
        key = (event.pod_uid, event.container)
        before = self._cursors.get(key)
        if (
            all_same
            and before is not None
            and before.time == time
            and before.restarts == event.restarts
        ):
            count += before.lines_at_time
        self._cursors[key] = LogCursor(
            event.pod, event.pod_uid, event.container, time, count, event.restarts
        )
        self._cursors.move_to_end(key)
        if len(self._cursors) > _CONTAINERS_MAX:
            self._cursors.popitem(last=False)

    def all(self) -> tuple[LogCursor, ...]:
        """Where to continue."""
        return tuple(self._cursors.values())


def _last_time(lines: bytes) -> tuple[str, int, bool]:
    """The last line's time, how many lines at the end have exactly that time, and whether all have."""
    start = lines.rfind(b"\n", 0, len(lines) - 1) + 1
    space = lines.find(b" ", start)
    if space < 0:
        space = len(lines) - 1
    # With the space: times of other precision may begin alike.
    time = lines[start : space + 1]
    count = 1
    while start > 0:
        earlier = lines.rfind(b"\n", 0, start - 1) + 1
        if not lines.startswith(time, earlier):
            return time.decode("ascii", "replace").strip(), count, False
        start = earlier
        count += 1
    return time.decode("ascii", "replace").strip(), count, True
