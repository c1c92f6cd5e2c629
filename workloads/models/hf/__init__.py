"""Models that Hugging Face Transformers builds from a configuration, with random weights and
without any hub."""
