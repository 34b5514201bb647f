// The kernels for x86-64 with AVX-512.
#if defined(__x86_64__)

#define INSTRUCTIONS of_avx512
#define LANES 16
#define ROWS 8
#define COLUMNS 3

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

#include "kernels.hpp"

Kernels kernels_avx512() { return of_avx512::kernels("avx512"); }

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
