"""One spec and one room make a conversation: the only storey that builds LiveKit models."""
