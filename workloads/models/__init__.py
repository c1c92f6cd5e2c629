"""The models that workloads run, each with a closed-form account of its own work."""
