"""A search over losses f(z), z = beta rho: found by evolution in some worlds, judged in others."""
