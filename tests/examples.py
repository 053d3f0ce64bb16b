"""How many examples a property is tried on."""

from typing import Any

from hypothesis import settings

_USUAL = 100


def examples(count: int, **more: Any) -> settings:
    """Try a property on ``count`` examples; on a share of them where the profile has fewer than the usual hundred.

    Decorate with it wherever a property needs another number than the usual; ``more`` are further settings.
    """
    profile = settings.default
    assert profile is not None
    return settings(max_examples=max(1, count * profile.max_examples // _USUAL), **more)
