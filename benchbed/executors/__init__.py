"""Who carries a plan out: on this machine, or over many."""
