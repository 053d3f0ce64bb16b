"""Messages, and the broker that carries them."""
