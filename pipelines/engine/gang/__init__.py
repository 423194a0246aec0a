"""Gangs: one Dask task per worker runs many iterations, the workers talk over own sockets."""
