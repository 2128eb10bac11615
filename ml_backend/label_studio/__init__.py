"""Everything this product sends to Label Studio and reads from it."""
