"""A job on another host: the far end, the connection, and what the near end checks."""
