"""The one place that states the version of the zoo, and that of its interface for plugins."""

__version__ = "0.2.0"
DISTRIBUTION = "attention-zoo"
PLUGIN_API = 2  # docs/architecture.md says what may change when
