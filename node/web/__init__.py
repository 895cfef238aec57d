"""The node over HTTP: health and metrics."""
