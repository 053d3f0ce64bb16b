"""One-process mode: an in-memory broker and Celery workers that run as threads."""
