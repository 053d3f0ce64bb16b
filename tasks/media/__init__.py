"""The reference system *media*: a title is transcoded, encrypted, distributed and indexed."""
