"""The work that the service orchestrates: one package for each reference system."""

if __name__ != "handoffs.tasks":
    raise ImportError(
        f"{__name__} is a folder of the package handoffs, and is imported under that name: "
        "write `from handoffs import tasks`, or `from handoffs.tasks import ...`"
    )
