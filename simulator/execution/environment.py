"""The environment of a process of the command's: one thread for each library, so that sums do not depend on cores."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
