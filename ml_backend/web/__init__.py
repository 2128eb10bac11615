"""The parts of the HTTP server that Label Studio and Prometheus call."""
