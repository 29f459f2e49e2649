"""The agents being served, as they change. Knows no LiveKit."""
