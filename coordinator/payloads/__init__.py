"""Large payloads, kept beside the broker: messages carry a reference to them."""
