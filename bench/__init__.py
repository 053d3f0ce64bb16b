"""Benchmarks: ``python -m bench`` measures the product beside Celery and others; ``rides*`` and ``media*`` measure two reference systems."""
