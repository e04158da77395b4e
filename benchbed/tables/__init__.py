"""Records to tables, tables to text."""
