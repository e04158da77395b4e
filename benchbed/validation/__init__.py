"""Do the metrics measure what they claim? Proxies against the known truth, and answers to known damage."""
