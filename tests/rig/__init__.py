"""What the tests run against: a real livekit-server, a simulated OpenAI, a caller with ears."""
