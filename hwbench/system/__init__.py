"""What the operating system says of this machine: small files, limits of control groups, memory,
the processor's name. No torch."""
