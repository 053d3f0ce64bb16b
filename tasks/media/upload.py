"""Puts the film of the demo into the object store, where it is not there yet, and prints what it is, as JSON.

    python -m handoffs.tasks.media.upload
    docker compose run --rm -T upload

ffmpeg makes it; where that is not installed it is bytes that stand for a film. `coordinator demo media --running --film JSON`
makes titles of it.
"""

from __future__ import annotations

import sys

from handoffs.config.settings import load
from handoffs.contracts import CoordinationError, strictjson
from handoffs.tasks.media.film import made_film
from handoffs.tasks.media.systems import systems
from handoffs.tasks.media.uploads import CLIP_SECONDS


def main() -> int:
    """Print the film. An error ends it with one line and status 1."""
    try:
        settings = load()
        film = made_film(settings.media, systems(settings), CLIP_SECONDS)
    except CoordinationError as error:
        sys.stderr.write(f"upload: {error}\n")
        return 1
    sys.stdout.write(f"{strictjson.dumps(film.to_data())}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
