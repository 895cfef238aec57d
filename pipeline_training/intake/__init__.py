"""Volumes in: CTs and their labels, from every format that sites keep them in."""
