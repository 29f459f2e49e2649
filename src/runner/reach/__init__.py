"""Whether a backend's servers would answer a call, tried for real. Builds no LiveKit model."""
