"""What the operating system says of this machine: small files and programs, limits of control
groups, memory, the processor's name. No torch."""
