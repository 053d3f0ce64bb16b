"""Settings for tests that have no fixture for them."""

from typing import Any

from handoffs.config.settings import Settings


def default_settings(**values: Any) -> Settings:
    """The defaults, whatever the environment says, and `values`."""
    defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
    return Settings.model_construct(**{**defaults, **values})
