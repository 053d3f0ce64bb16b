"""Peers: the sides of a benchmark. Each has workers as processes of their own, and a client in this one."""
