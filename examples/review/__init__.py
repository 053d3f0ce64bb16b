"""A drafter and a reviewer, each with a model, and a customer's mail that tries to give them orders."""

from examples.review.agents import Draft, Mail, Review, review_flow
from examples.review.model import Model, StubModel

__all__ = ["Draft", "Mail", "Model", "Review", "StubModel", "review_flow"]
