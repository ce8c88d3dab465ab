"""The one error tree of the dev cluster: whatever a person can act on ends up as one of these."""


class DevClusterError(Exception):
    """Something a person can act on. The message names the place, the reason and the way out."""


class BuildError(DevClusterError):
    """A program or image could not be built; the message ends with where its log is."""


class NotReadyError(DevClusterError):
    """A started program did not become ready in its time."""


class ImageError(DevClusterError):
    """An image definition is wrong, or an image could not be made or imported."""
