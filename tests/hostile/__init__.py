"""Hostile input: what anybody may publish, store or type is tried on a whole installation, and nothing of it ends anything.

``generators/`` has a module for each kind of input. Each is a function that makes a case of a seeded :class:`random.Random`: the
same seed, the same cases. To add one, write the module and add a line to :data:`tests.hostile.generators.GENERATORS`.
``installation.py`` is what the cases are tried on, ``oracle.py`` says what must hold afterwards, ``campaign.py`` does both with
many cases, and ``make test-hostile`` with as many as there is time for. What comes back to a finding is a test of its own, beside
the code that it was found in.
"""
