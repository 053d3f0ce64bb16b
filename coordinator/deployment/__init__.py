"""Builds of agents: whether one may begin, and what others are told of it."""
