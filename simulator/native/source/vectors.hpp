// Vectors of the compiler's vector extensions, one number of each of LANES sequences.
//
// LANES is given by the build, one value for each instruction set; so are ROWS and COLUMNS, the tile of a product that
// the registers hold. Nothing here may be shared between two instruction sets: all of it lies in the namespace INSTRUCTIONS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

#ifndef LANES
#error "LANES, ROWS, COLUMNS and INSTRUCTIONS are given by the build"
#endif

#define INLINE inline __attribute__((always_inline))

namespace INSTRUCTIONS {

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Whole __attribute__((vector_size(4 * LANES)));

INLINE Vector all(float x) { return x - Vector{}; }
INLINE Whole all_whole(int32_t x) { return x - Whole{}; }

INLINE Vector load(const float *from) {
    Vector x;
    __builtin_memcpy(&x, from, sizeof x);
    return x;
}

INLINE void store(float *to, Vector x) { __builtin_memcpy(to, &x, sizeof x); }

INLINE Vector larger(Vector a, Vector b) { return a > b ? a : b; }

// e^x to about two units in the last place; below -87 it is that of -87, above 88 that of 88. NaN stays NaN.
INLINE Vector exponential(Vector x) {
    x = x < all(-87.0f) ? all(-87.0f) : x;
    x = x > all(88.0f) ? all(88.0f) : x;
    const Vector magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number in the low bits
    Vector shifted = x * all(1.44269504088896341f) + magic;
    Vector whole = shifted - magic;
    Vector r = x - whole * all(0.693359375f);
    r = r - whole * all(-2.12194440e-4f);
    Vector p = all(1.9875691500e-4f);
    p = p * r + all(1.3981999507e-3f);
    p = p * r + all(8.3334519073e-3f);
    p = p * r + all(4.1665795894e-2f);
    p = p * r + all(1.6666665459e-1f);
    p = p * r + all(5.0000001201e-1f);
    p = p * (r * r) + r + all(1.0f);
    Whole power = (Whole)shifted << 23;
    return (Vector)((Whole)p + power);
}

// log x for normal x > 0, to about two units in the last place. NaN and infinity stay as they are.
INLINE Vector logarithm(Vector x) {
    Whole bits = (Whole)x;
    Whole exponent = ((bits >> 23) & all_whole(255)) - all_whole(126);
    Vector m = (Vector)((bits & all_whole(0x007fffff)) | all_whole(0x3f000000));  // [0.5, 1)
    Whole low = (Whole)(m < all(0.707106781186547524f));
    exponent = exponent + low;
    m = m + (Vector)((Whole)m & low) - all(1.0f);
    Vector e = __builtin_convertvector(exponent, Vector);
    Vector z = m * m;
    Vector p = all(7.0376836292e-2f);
    p = p * m + all(-1.1514610310e-1f);
    p = p * m + all(1.1676998740e-1f);
    p = p * m + all(-1.2420140846e-1f);
    p = p * m + all(1.4249322787e-1f);
    p = p * m + all(-1.6668057665e-1f);
    p = p * m + all(2.0000714765e-1f);
    p = p * m + all(-2.4999993993e-1f);
    p = p * m + all(3.3333331174e-1f);
    p = p * (m * z) + e * all(-2.12194440e-4f) - all(0.5f) * z;
    Vector found = m + p + e * all(0.693359375f);
    return x < all(3.0e38f) ? found : x;
}

INLINE Vector square_root(Vector x) {
    Vector y;
    for (int i = 0; i < LANES; ++i) y[i] = __builtin_sqrtf(x[i]);
    return y;
}

template <class T>
INLINE T smaller_of(T a, T b) { return b < a ? b : a; }

template <class T>
INLINE void fill(T *to, int64_t count, T x) {
    for (int64_t i = 0; i < count; ++i) to[i] = x;
}

// Numbers in float64, HALF of the lanes at a time.
constexpr int HALF = LANES / 2;
typedef double Double __attribute__((vector_size(8 * HALF)));
typedef int64_t Long __attribute__((vector_size(8 * HALF)));
typedef float Narrow __attribute__((vector_size(4 * HALF)));

INLINE Double all_double(double x) { return x - Double{}; }

INLINE Double half(const Vector *x, int part) {
    Narrow narrow;
    __builtin_memcpy(&narrow, (const float *)x + part * HALF, sizeof narrow);
    return __builtin_convertvector(narrow, Double);
}

// e^x to a unit or two in the last place, for x of at most 700; below -700 it is that of -700. NaN stays NaN.
INLINE Double exponential(Double x) {
    x = x < all_double(-700.0) ? all_double(-700.0) : x;
    const Double magic = all_double(6755399441055744.0);  // 1.5 * 2^52
    Double shifted = x * all_double(1.4426950408889634) + magic;
    Double whole = shifted - magic;
    Double r = x - whole * all_double(6.93147180369123816490e-01);
    r = r - whole * all_double(1.90821492927058770002e-10);
    Double p = all_double(1.0 / 6227020800.0);
    for (double factor : {1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0, 1.0 / 362880.0, 1.0 / 40320.0, 1.0 / 5040.0,
                          1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0})
        p = p * r + all_double(factor);
    return (Double)((Long)p + ((Long)shifted << 52));
}

INLINE Vector logarithm(Vector x);

// One step of a transposition: what lies H lanes and H rows apart changes places.
#if defined(__clang__)
template <int H, size_t... I>
INLINE Vector low_of(Vector a, Vector b, std::index_sequence<I...>) {
    return __builtin_shufflevector(a, b, ((I & H) ? int(I - H + LANES) : int(I))...);
}
template <int H, size_t... I>
INLINE Vector high_of(Vector a, Vector b, std::index_sequence<I...>) {
    return __builtin_shufflevector(a, b, ((I & H) ? int(I + LANES) : int(I + H))...);
}
#else
template <int H, size_t... I>
INLINE Vector low_of(Vector a, Vector b, std::index_sequence<I...>) {
    return __builtin_shuffle(a, b, Whole{((I & H) ? int(I - H + LANES) : int(I))...});
}
template <int H, size_t... I>
INLINE Vector high_of(Vector a, Vector b, std::index_sequence<I...>) {
    return __builtin_shuffle(a, b, Whole{((I & H) ? int(I + LANES) : int(I + H))...});
}
#endif

template <int H>
INLINE void exchange(Vector (&x)[LANES]) {
    if constexpr (H > 0) {
        for (int i = 0; i < LANES; ++i)
            if (!(i & H)) {
                Vector a = x[i], b = x[i + H];
                x[i] = low_of<H>(a, b, std::make_index_sequence<LANES>{});
                x[i + H] = high_of<H>(a, b, std::make_index_sequence<LANES>{});
            }
        exchange<H / 2>(x);
    }
}

INLINE void transpose(Vector (&x)[LANES]) { exchange<LANES / 2>(x); }

// log x for x within the range of float32: a float32 logarithm and one step of Halley's method on e^y = x.
INLINE Double logarithm(Double x) {
    Narrow narrow = __builtin_convertvector(x, Narrow);
    Vector rough{};
    __builtin_memcpy(&rough, &narrow, sizeof narrow);
    rough = logarithm(rough);
    Double y = half(&rough, 0), e = exponential(y);
    return y + all_double(2.0) * (x - e) / (x + e);
}

// Lane i of what comes is the sum over all lanes of x[i].
template <int H>
INLINE Vector folded(Vector (&x)[LANES]) {
    if constexpr (H == 0) {
        return x[0];
    } else {
        for (int i = 0; i < H; ++i) {
            Vector a = x[i], b = x[i + H];
            x[i] = low_of<H>(a, b, std::make_index_sequence<LANES>{}) + high_of<H>(a, b, std::make_index_sequence<LANES>{});
        }
        return folded<H / 2>(x);
    }
}

INLINE Vector sums(Vector (&x)[LANES]) { return folded<LANES / 2>(x); }

INLINE float sum(Vector x) {
    float total = 0;
    for (int i = 0; i < LANES; ++i) total += x[i];
    return total;
}

}  // namespace INSTRUCTIONS
