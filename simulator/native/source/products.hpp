// Products of weights with what lies at some places, a register tile at a time.
//
// A place has `features` vectors that follow each other; places lie a stride apart. Each sum runs over its index in
// order, whatever the tile, so a number does not depend on where in the batch it is computed.
#pragma once

#include "vectors.hpp"

namespace INSTRUCTIONS {

// Some places: the first, how far they lie apart (in vectors), and how many.
struct Places {
    Vector *first;
    ptrdiff_t stride;
    int64_t count;

    INLINE Vector *at(int64_t i) const { return first + i * stride; }
    INLINE Places from(ptrdiff_t feature) const { return {first + feature, stride, count}; }
};

template <int N, int P, bool TURNED, class Write>
INLINE void product_tile(const float *w, ptrdiff_t row, int64_t inner, const Vector *x, ptrdiff_t stride, Write write) {
    Vector total[N][P];
    for (int n = 0; n < N; ++n)
        for (int p = 0; p < P; ++p) total[n][p] = Vector{};
    for (int64_t k = 0; k < inner; ++k) {
        Vector here[P];
        for (int p = 0; p < P; ++p) here[p] = x[p * stride + k];
        for (int n = 0; n < N; ++n) {
            Vector one = all(TURNED ? w[n * row + k] : w[k * row + n]);
            for (int p = 0; p < P; ++p) total[n][p] += one * here[p];
        }
    }
    for (int p = 0; p < P; ++p)
        for (int n = 0; n < N; ++n) write(n, p, total[n][p]);
}

template <int P, bool TURNED, class Write>
INLINE void product_of_places(
    const float *w, ptrdiff_t row, int64_t inner, int64_t outer, const Vector *x, ptrdiff_t stride, Write write) {
    int64_t n = 0;
    auto step = [&](auto size) {
        constexpr int N = decltype(size)::value;
        for (; n + N <= outer; n += N)
            product_tile<N, P, TURNED>(
                w + (TURNED ? n * row : n), row, inner, x, stride, [&](int a, int p, Vector v) { write(n + a, p, v); });
    };
    step(std::integral_constant<int, ROWS>{});
    if constexpr (ROWS > 4) step(std::integral_constant<int, 4>{});
    step(std::integral_constant<int, 2>{});
    step(std::integral_constant<int, 1>{});
}

// write(n, p, sum over k of w[k][n] x[p][k]), or of w[n][k] x[p][k] where w is TURNED; its rows lie `row` apart.
template <bool TURNED, class Write>
inline void product(const float *w, ptrdiff_t row, int64_t inner, int64_t outer, Places x, Write write) {
    int64_t p = 0;
    auto step = [&](auto size) {
        constexpr int P = decltype(size)::value;
        for (; p + P <= x.count; p += P)
            product_of_places<P, TURNED>(
                w, row, inner, outer, x.at(p), x.stride, [&](int64_t n, int b, Vector v) { write(n, p + b, v); });
    };
    step(std::integral_constant<int, COLUMNS>{});
    if constexpr (COLUMNS > 2) step(std::integral_constant<int, 2>{});
    step(std::integral_constant<int, 1>{});
}

constexpr int TALL = 4, WIDE = LANES > 16 / TALL ? LANES / TALL : 4;  // a tile of a gradient; TALL * WIDE is a multiple of LANES

template <int A, int B>
INLINE void gradient_tile(float *to, ptrdiff_t row, const Vector *x, ptrdiff_t xs, const Vector *y, ptrdiff_t ys, int64_t places) {
    Vector total[A * B];
    for (int i = 0; i < A * B; ++i) total[i] = Vector{};
    for (int64_t p = 0; p < places; ++p) {
        Vector right[B];
        for (int b = 0; b < B; ++b) right[b] = y[p * ys + b];
        for (int a = 0; a < A; ++a) {
            Vector left = x[p * xs + a];
            for (int b = 0; b < B; ++b) total[a * B + b] += left * right[b];
        }
    }
    if constexpr (A == TALL && B == WIDE) {
        for (int t = 0; t < A * B; t += LANES) {
            Vector group[LANES];
            for (int i = 0; i < LANES; ++i) group[i] = total[t + i];
            float flat[LANES];
            store(flat, sums(group));
            for (int i = 0; i < LANES; ++i) to[((t + i) / B) * row + (t + i) % B] += flat[i];
        }
    } else {
        for (int a = 0; a < A; ++a)
            for (int b = 0; b < B; ++b) to[a * row + b] += sum(total[a * B + b]);
    }
}

// Adds to `to` [rows, columns] the sum over places and lanes of x[p][k] y[p][n]; rows of `to` lie `row` apart.
inline void gradient(float *to, ptrdiff_t row, Places x, int64_t rows, Places y, int64_t columns) {
    int64_t k = 0;
    for (; k + TALL <= rows; k += TALL) {
        int64_t n = 0;
        for (; n + WIDE <= columns; n += WIDE)
            gradient_tile<TALL, WIDE>(to + k * row + n, row, x.first + k, x.stride, y.first + n, y.stride, x.count);
        for (; n < columns; ++n) gradient_tile<TALL, 1>(to + k * row + n, row, x.first + k, x.stride, y.first + n, y.stride, x.count);
    }
    for (; k < rows; ++k)
        for (int64_t n = 0; n < columns; ++n)
            gradient_tile<1, 1>(to + k * row + n, row, x.first + k, x.stride, y.first + n, y.stride, x.count);
}

// to[c] = sum over i < count of weights[i * apart] of(i)[c], for c < channels.
template <int C, class Of>
INLINE void mix_tile(Vector *to, const Vector *weights, ptrdiff_t apart, int64_t count, Of of) {
    Vector total[C];
    for (int c = 0; c < C; ++c) total[c] = Vector{};
    for (int64_t i = 0; i < count; ++i) {
        const Vector weight = weights[i * apart], *value = of(i);
        for (int c = 0; c < C; ++c) total[c] += weight * value[c];
    }
    for (int c = 0; c < C; ++c) to[c] = total[c];
}

template <class Of>
INLINE void mix_all(Vector *to, const Vector *weights, ptrdiff_t apart, int64_t count, int64_t channels, Of of) {
    int64_t c = 0;
    for (; c + 8 <= channels; c += 8) mix_tile<8>(to + c, weights, apart, count, [&](int64_t i) { return of(i) + c; });
    for (; c < channels; ++c) mix_tile<1>(to + c, weights, apart, count, [&](int64_t i) { return of(i) + c; });
}

// Of values at the places `seen`, and of values that lie a stride apart.
inline void mix(Vector *to, const Vector *weights, const Vector *values, ptrdiff_t stride, const int32_t *seen, int64_t count, int64_t channels) {
    mix_all(to, weights, 1, count, channels, [&](int64_t i) { return values + seen[i] * stride; });
}

inline void gather(Vector *to, const Vector *weights, ptrdiff_t apart, const Vector *values, ptrdiff_t stride, int64_t count, int64_t channels) {
    mix_all(to, weights, apart, count, channels, [&](int64_t i) { return values + i * stride; });
}

template <int N>
INLINE void dot_tile(Vector *to, const Vector *query, const Vector *keys, ptrdiff_t stride, const int32_t *seen, int64_t channels) {
    Vector total[N];
    const Vector *key[N];
    for (int i = 0; i < N; ++i) total[i] = Vector{}, key[i] = keys + seen[i] * stride;
    for (int64_t c = 0; c < channels; ++c) {
        Vector q = query[c];
        for (int i = 0; i < N; ++i) total[i] += q * key[i][c];
    }
    for (int i = 0; i < N; ++i) to[i] = total[i];
}

// to[i] = sum over c of query[c] keys[seen[i]][c].
inline void dots(Vector *to, const Vector *query, const Vector *keys, ptrdiff_t stride, const int32_t *seen, int64_t count, int64_t channels) {
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) dot_tile<4>(to + i, query, keys, stride, seen + i, channels);
    for (; i < count; ++i) dot_tile<1>(to + i, query, keys, stride, seen + i, channels);
}

}  // namespace INSTRUCTIONS
