"""What bench/compare measures, and how it tells of it. See bench/README.md."""
