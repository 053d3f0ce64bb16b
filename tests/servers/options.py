"""How the servers are configured, wherever they run."""


def redis_options(password: str) -> dict[str, str]:
    """Redis as the product wants it: what it acknowledged is on disk, and nothing is evicted."""
    return {
        "requirepass": password,
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
    }


def postgres_options() -> dict[str, str]:
    """PostgreSQL that survives the death of its processes, though not of the machine: no test kills that."""
    return {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
