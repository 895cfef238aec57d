"""Typed, frozen settings and the commented default files that an admin edits."""
