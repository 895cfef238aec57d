"""The judge: a small network that tells what a picture shows and how it lies, and what it learns from."""
