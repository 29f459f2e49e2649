"""The studio: a page on this machine from which agents are seen, called and tried."""
