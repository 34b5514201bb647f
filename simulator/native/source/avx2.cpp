// The kernels for x86-64 with AVX2.
#if defined(__x86_64__)

#define INSTRUCTIONS of_avx2
#define LANES 8
#define ROWS 4
#define COLUMNS 3

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

#include "kernels.hpp"

Kernels kernels_avx2() { return of_avx2::kernels("avx2"); }

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
