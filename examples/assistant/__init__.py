"""A support assistant made with Pydantic AI (``pip install pydantic-ai-slim``), as one agent of a flow. README.md says what it shows."""
