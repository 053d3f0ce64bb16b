"""What is still to do, as it travels in the message: pure."""
