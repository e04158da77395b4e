"""Network parts that several methods share, a subject a file."""
