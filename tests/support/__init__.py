"""What tests that cross processes share: only Python's standard library."""
