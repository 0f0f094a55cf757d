"""Every error of the project.

Each says *what* is wrong, *where* (plugin, file, key), and the *remedy*: the call that mends it.
All are `ZooError`, so `except zoo.ZooError` catches whatever the zoo refuses and nothing else.
"""

from __future__ import annotations


class ZooError(Exception):
    """Base of all errors of the zoo: `what`, `where` it is, and the `remedy`."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.what, self.where, self.remedy = what, where, remedy

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.remedy:
            lines.append(f"  try:   {self.remedy}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(cls: type[ZooError], what: str, where: str, remedy: str) -> ZooError:
    return cls(what, where=where, remedy=remedy)


class UsageError(ZooError):
    """The call itself is wrong: a name, an option, a combination. Exit code 2 on the shell."""

    exit_code = 2


class UnknownNameError(UsageError, LookupError):
    """No model, attention, backbone, data set or tag has that name; `zoo list` shows all."""


class AmbiguousNameError(UsageError):
    """A name can be read in two ways; name the parts with `attention=` to choose one."""


class OptionError(UsageError, ValueError, TypeError):
    """An option is unknown, contradicts another, or has a value the mechanism cannot take.

    A `TypeError` too: that is what callers of timm expect of a keyword that nothing accepts.
    """


class SpecError(UsageError, ValueError):
    """A spec's own fields are wrong: fix the plugin that states it."""


class IncompatibleBackboneError(UsageError):
    """This attention cannot go into this backbone; the message says what can."""


class PluginError(ZooError):
    """A plugin cannot be loaded, or a target it names cannot be resolved; see `zoo plugins`."""


class WeightsError(ZooError):
    """Weights cannot be used. Base of the errors below."""


class WeightsNotFoundError(WeightsError, LookupError):
    """No weights of that tag exist, or they are unpublished; the message says how to train them."""


class WeightsMismatchError(WeightsError):
    """A file's tensors are not this model's: other keys, other shapes, other number of classes."""


class CorruptWeightsError(WeightsError):
    """A file is truncated, not safetensors, holds non-finite values, or its digest is wrong."""


class HubError(ZooError):
    """The Hub could not be reached, or refused; carries what was asked of which repository."""


class OfflineError(HubError):
    """Offline, and what is asked for is not in the cache."""


class ConfigError(ZooError, ValueError):
    """A `config.json` or a manifest has unknown keys or values out of bounds."""


class DataError(ZooError):
    """A data folder, file or data set is absent, empty, unlabelled or unreadable."""


class RecipeError(UsageError, ValueError):
    """A training recipe has a missing, unknown or impossible key."""


class CheckpointError(ZooError):
    """A training checkpoint is half written, or belongs to another recipe."""


class ReferenceCaseError(ZooError):
    """A reference case's file cannot be read as one."""


class ZooWarning(UserWarning):
    """Base of the zoo's warnings."""


class PluginWarning(ZooWarning):
    """A plugin is broken and was left out; the rest of the zoo works."""


class WeightsWarning(ZooWarning):
    """The weights are not what a user may take them for, e.g. the attention is untrained."""
