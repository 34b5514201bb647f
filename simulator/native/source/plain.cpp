// The kernels for what every machine of an architecture has: NEON on ARM, SIMD128 in WebAssembly, SSE2 on x86-64.
#define INSTRUCTIONS of_plain
#define LANES 4
#if defined(__aarch64__)
#define ROWS 8
#define SET "neon"
#elif defined(__wasm__)
#define ROWS 4
#define SET "simd128"
#elif defined(__x86_64__)
#define ROWS 4
#define SET "sse2"
#else
#define ROWS 4
#define SET "plain"
#endif
#define COLUMNS 3

#include "kernels.hpp"

Kernels kernels_plain() { return of_plain::kernels(SET); }
