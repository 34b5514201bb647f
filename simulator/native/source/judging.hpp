// The frozen encoder behind the gold reward "transformer" (gold_rewards/encoder.py), and the ranks of samples.
//
// Shapes: N texts of S places, the first L of them a prompt; d width, H heads. A lane is a text.
#pragma once

#include "network.hpp"

namespace INSTRUCTIONS {

// Norms come after residuals, and places see each other both ways. Weights follow each other in one row: tokens [V, d],
// places [S, d], and of each layer what projects [3 d, d], merges [d, d], goes up [4 d, d] and down [d, 4 d]; then what
// reads out [d]. What is behind an end (a negative token) is seen by none and not read.
int judge(const Sizes *sizes, int64_t texts, const float *weights, const int64_t *text, float *scores) {
    const Sizes &s = *sizes;
    const int64_t d = s.width, e = d / s.heads, S = s.context, wide = odd(d), wide3 = odd(3 * d), wide4 = odd(4 * d);
    const float *place = weights + s.vocabulary * d, *layers = place + S * d, *readout = layers + s.layers * 12 * d * d;
    Scratch scratch(sizeof(Vector) * (S * (wide + wide3 + 2) + BLOCK * (wide + wide4)) + 4 * (LANES + 1) * S);
    if (!scratch.there()) return 1;
    Vector *x = scratch.take<Vector>(S * wide), *projected = scratch.take<Vector>(S * wide3), *row = scratch.take<Vector>(S);
    Vector *there = scratch.take<Vector>(S), *found = scratch.take<Vector>(BLOCK * wide), *hidden = scratch.take<Vector>(BLOCK * wide4);
    int32_t *tokens = scratch.take<int32_t>(LANES * S), *every = scratch.take<int32_t>(S);
    const Vector scale = all(1.0f / __builtin_sqrtf((float)e));
    const Sizes as_embedding{s.vocabulary, S, 0, d, 1, 1, 1, 1, 1, 0};
    const Weights<const float> embedding(weights, as_embedding);
    for (int64_t j = 0; j < S; ++j) every[j] = (int32_t)j;
    for (int64_t n = 0; n < texts; n += LANES) {
        for (int64_t j = 0; j < S; ++j) {
            float mask[LANES];
            for (int i = 0; i < LANES; ++i) {
                const int64_t token = text[smaller_of(n + i, texts - 1) * S + j];
                tokens[j * LANES + i] = (int32_t)(token < 0 ? 0 : token);
                mask[i] = token < 0 ? 0.0f : 1.0f;
            }
            there[j] = load(mask);
            embed(x + j * wide, embedding, tokens + j * LANES, j);
        }
        for (int64_t layer = 0; layer < s.layers; ++layer) {
            const float *project = layers + layer * 12 * d * d, *merge = project + 3 * d * d, *up = merge + d * d, *down = up + 4 * d * d;
            product<true>(project, d, d, 3 * d, Places{x, wide, S}, [&](int64_t c, int64_t p, Vector v) { projected[p * wide3 + c] = v; });
            for (int64_t begin = 0; begin < S; begin += BLOCK) {
                const int64_t count = smaller_of(BLOCK, S - begin);
                for (int64_t i = 0; i < count; ++i)
                    for (int64_t h = 0; h < s.heads; ++h) {
                        const Vector *query = projected + (begin + i) * wide3 + h * e;
                        dots(row, query, projected + d + h * e, wide3, every, S, e);
                        Vector most = row[0], total{};
                        for (int64_t j = 1; j < S; ++j) most = larger(row[j], most);
                        for (int64_t j = 0; j < S; ++j) {
                            row[j] = exponential((row[j] - most) * scale) * there[j];
                            total += row[j];
                        }
                        total = all(1.0f) / total;
                        for (int64_t j = 0; j < S; ++j) row[j] *= total;
                        mix(found + i * wide + h * e, row, projected + 2 * d + h * e, wide3, every, S, e);
                    }
                const Places stream{x + begin * wide, wide, count}, four{hidden, wide4, count};
                product<true>(merge, d, d, d, Places{found, wide, count}, [&](int64_t c, int64_t p, Vector v) { stream.at(p)[c] += v; });
                for (int64_t i = 0; i < count; ++i) norm(stream.at(i), stream.at(i), d);
                product<true>(up, d, d, 4 * d, stream, [&](int64_t c, int64_t p, Vector v) { four.at(p)[c] = v < all(0.0f) ? all(0.0f) : v; });
                product<true>(down, 4 * d, 4 * d, d, four, [&](int64_t c, int64_t p, Vector v) { stream.at(p)[c] += v; });
                for (int64_t i = 0; i < count; ++i) norm(stream.at(i), stream.at(i), d);
            }
        }
        Vector total{}, said{};
        for (int64_t j = s.prompt; j < S; ++j) {
            Vector one{};
            for (int64_t c = 0; c < d; ++c) one += x[j * wide + c] * all(readout[c]);
            total += one * there[j];
            said += there[j];
        }
        total = total / said;
        for (int64_t i = 0; i < smaller_of<int64_t>(LANES, texts - n); ++i) scores[n + i] = total[i];
    }
    return 0;
}

// For each of `rows` pairs of samples a [m] and b [b]: the share of b below each of a, and of a below each of b, ties half.
void placements(int64_t rows, int64_t m, const double *a, int64_t b, const double *others, int64_t of_row, double *of_a, double *of_b) {
    for (int64_t row = 0; row < rows; ++row) {
        const double *x = a + row * m, *y = others + row * of_row;
        double *below_x = of_a + row * m, *below_y = of_b + row * b;
        fill(below_y, b, 0.0);
        for (int64_t i = 0; i < m; ++i) {
            Double at = all_double(x[i]), total{};
            int64_t j = 0;
            const Double one = all_double(1.0), half_of = all_double(0.5), none{};
            for (; j + HALF <= b; j += HALF) {
                Double other, count;
                __builtin_memcpy(&other, y + j, sizeof other);
                __builtin_memcpy(&count, below_y + j, sizeof count);
                const Double wins = other < at ? one : other == at ? half_of : none;
                total += wins;
                count += one - wins;
                __builtin_memcpy(below_y + j, &count, sizeof count);
            }
            double sum = 0;
            for (int lane = 0; lane < HALF; ++lane) sum += total[lane];
            for (; j < b; ++j) {
                const double wins = y[j] < x[i] ? 1.0 : y[j] == x[i] ? 0.5 : 0.0;
                sum += wins;
                below_y[j] += 1.0 - wins;
            }
            below_x[i] = sum / (double)b;
        }
        for (int64_t j = 0; j < b; ++j) below_y[j] /= (double)m;
    }
}

}  // namespace INSTRUCTIONS
