"""What the machine's ceilings are made of: products of each number format, and the search for a
shape."""
