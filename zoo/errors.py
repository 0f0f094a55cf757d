"""Every error of the project.

Each error says *what* is wrong, *where* (the plugin, file or key), and the *remedy*: the call that
mends it. All errors are a `ZooError`, so `except zoo.ZooError` catches whatever the zoo refuses,
and nothing else.
"""

from __future__ import annotations


class ZooError(Exception):
    """The base of all errors of the zoo.

    Attributes:
        what: what is wrong, in a sentence.
        where: the plugin, file or key that it concerns; may be empty.
        remedy: the call or the setting that mends it; may be empty.
    """

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
    """The call itself is wrong: a name, an option or a combination. The exit code is 2."""

    exit_code = 2


class UnknownNameError(UsageError, LookupError):
    """No model, attention, backbone, data set or tag has that name. `zoo list` shows all."""


class AmbiguousNameError(UsageError):
    """A name can be read in two ways. Naming the parts with `attention=` chooses one."""


class OptionError(UsageError, ValueError, TypeError):
    """An option is unknown, contradicts another, or has a value that is not allowed.

    It is a `TypeError` too, since that is what callers of timm expect of a keyword that nothing
    accepts.
    """


class SpecError(UsageError, ValueError):
    """A field of a spec is wrong. The plugin that states it must be mended."""


class IncompatibleBackboneError(UsageError):
    """This attention cannot go into this backbone. The message says what can."""


class PluginError(ZooError):
    """A plugin cannot be loaded, or a target that it names does not exist. See `zoo plugins`."""


class WeightsError(ZooError):
    """Weights cannot be used. This is the base of the errors about weights."""


class WeightsNotFoundError(WeightsError, LookupError):
    """There are no weights of that tag, or they are unpublished. The message says how to train
    them.
    """


class WeightsMismatchError(WeightsError):
    """The tensors of a file are not those of the model: other keys, other shapes, or another number
    of classes.
    """


class CorruptWeightsError(WeightsError):
    """A file is truncated, is not safetensors, holds non-finite values, or has the wrong digest."""


class HubError(ZooError):
    """The Hub could not be reached, or it refused. The error says what was asked of it."""


class OfflineError(HubError):
    """There is no connection, and what is asked for is not in the cache."""


class ConfigError(ZooError, ValueError):
    """A `config.json` or a manifest has unknown keys, or values out of bounds."""


class DataError(ZooError):
    """A data folder, file or data set is absent, empty, unlabelled or unreadable."""


class SplitNotFoundError(DataError, LookupError):
    """A data set has no such split, or the files of that split are not there."""


class RecipeError(UsageError, ValueError):
    """A training recipe has a missing, unknown or impossible key."""


class CheckpointError(ZooError):
    """A training checkpoint is damaged, or belongs to another recipe."""


class ExportError(ZooError):
    """A model has no form in a format, or what was made of it computes something else."""


class ReferenceCaseError(ZooError):
    """A file of a reference case cannot be read as one."""


class ZooWarning(UserWarning):
    """The base of all warnings of the zoo."""


class PluginWarning(ZooWarning):
    """A plugin is broken and was left out; the rest of the zoo works."""


class WeightsWarning(ZooWarning):
    """The weights are not what a user may take them for: the attention is untrained, say."""
