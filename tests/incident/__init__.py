"""The incident that this project exists for, and the code of the two teams in it, release by release.

A fraud agent renamed ``risk_level`` to ``risk_score``; authorisation missed high-risk payments for four hours. Each module
is one team's code at one release, as it would be in a repository of its own: the teams share no class.
"""
