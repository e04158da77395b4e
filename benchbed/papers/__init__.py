"""The papers' tables: as printed, with what was measured beside them, and why the two differ."""
