"""Reference row `flow`: a classical optical-flow warp."""
