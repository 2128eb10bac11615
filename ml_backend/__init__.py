"""Active learning for stock Label Studio: an ML backend, query strategies and the loop between them."""
