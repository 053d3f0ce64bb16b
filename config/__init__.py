"""Configuration: the only reader of the environment. Nothing here does I/O when imported."""

if __name__ != "handoffs.config":
    raise ImportError(
        f"{__name__} is a folder of the package handoffs, and is imported under that name: "
        "write `from handoffs import config`, or `from handoffs.config import ...`"
    )
