"""Parts of the matmul ceiling: products of each number format, and the search for a shape."""
