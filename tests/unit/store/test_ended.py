"""Runs that have ended, on the embedded Redis."""

from tests.ended_suite import TestForgotten, TestForgottenAndUndone, TestGenerations, TestUndoing

__all__ = ["TestForgotten", "TestForgottenAndUndone", "TestGenerations", "TestUndoing"]
