"""The reference system *media*: a title becomes renditions, packages, copies at the edges and an entry; choreographed."""

from handoffs.tasks.media.agents import assemble, cdn, drm, index, ladder, release, shelf, transcode

__all__ = ["assemble", "cdn", "drm", "index", "ladder", "release", "shelf", "transcode"]
