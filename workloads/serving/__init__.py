"""Inference under load: the server that batches requests, the load generator that sends them, the
search for a rate."""
