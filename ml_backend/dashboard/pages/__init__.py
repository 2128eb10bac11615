"""The pages, one module each: ``read`` takes plain data from the store, ``view`` makes a layout of it."""
