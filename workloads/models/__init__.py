"""The models that workloads run; `hwbench.accounts` counts their work."""
