"""The error tree of the bootstrap. Errors of the cluster itself are `agent.kube.errors`."""


class BootstrapError(Exception):
    """Something a person can act on. The message names the place, the reason and the way out."""


class CatalogError(BootstrapError):
    """The data of an add-on is wrong; the message names the file and the key."""


class UnknownAddOnError(BootstrapError):
    """There is no add-on of that name."""


class AddOnDisabledError(BootstrapError):
    """The add-on is switched off, so there is nothing to try again."""
