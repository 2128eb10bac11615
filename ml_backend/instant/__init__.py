"""Between two rounds: what one answer moves."""
