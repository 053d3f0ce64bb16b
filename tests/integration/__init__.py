"""Tests on real RabbitMQ, Redis and PostgreSQL, with real workers."""
