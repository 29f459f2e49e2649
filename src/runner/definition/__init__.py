"""Words about one agent: read, check, freeze. Knows neither asyncio nor LiveKit."""
