"""Parts of inference under load: the batching server, the load generator, the search for a rate."""
