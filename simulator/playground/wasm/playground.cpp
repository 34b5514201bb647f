// What the page calls of the engine, one run at a time, with whole numbers of 32 bits; and what Python does in numpy.
//
// Shapes: N pairs, B pairs of a step, L prompt length, T response length, V vocabulary, D numbers of a row, M inner nodes of
// the prefix tree, K knots of a loss that was drawn.
#include <cstdlib>

#include "streams.hpp"
#include "table.h"

extern "C" {
const char *engine_source(void);
int64_t engine_kept_floats(const Sizes *, int64_t runs, int64_t prompts);
int engine_forward(const Sizes *, int64_t runs, int64_t prompts, const float *parameters, int64_t row, const int64_t *asked,
                   const int64_t *said, float *values, float *states, float *kept);
int engine_backward(const Sizes *, int64_t runs, int64_t prompts, const float *parameters, int64_t row, const int64_t *asked,
                    const int64_t *said, const float *cotangents, const float *at_states, float *kept, float *gradients);
int engine_adam(int64_t runs, int64_t row, float *parameters, const float *gradients, float *first, float *second,
                const float *rate, const float *limit, int64_t step, double weight_decay);
int engine_tree(const Sizes *, int64_t runs, int64_t prompts, const float *parameters, int64_t row, const int64_t *asked,
                int leaves, double *to);
int engine_train(const Sizes *, int64_t runs, float *parameters, int64_t row, float *first, float *second, const Training *,
                 int64_t *diverged);
}

#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

namespace {

// Room for whole numbers of 64 bits, filled from those of 32; given back at the end.
class Wide {
  public:
    Wide(const int32_t *from, int64_t count) : numbers((int64_t *)std::malloc(8 * (size_t)count)) {
        if (numbers)
            for (int64_t i = 0; i < count; ++i) numbers[i] = from[i];
    }
    ~Wide() { std::free(numbers); }
    Wide(const Wide &) = delete;
    Wide &operator=(const Wide &) = delete;
    int64_t *const numbers;
};

Sizes sizes_of(const int32_t *s, int responses) {
    return {s[0], s[1], s[2], s[3], s[4], s[5], s[6], responses, s[7], s[8]};
}

// A loss whose slope is linear between middles of knots and constant beyond them, so that it is convex where its bends are
// not negative: f(z) = start + slope (z - first) + sum over k of bend_k ramp(z - m_k), ramp(u) = v (u - v / 2), v = u from 0
// to `apart`. `shape`: start, slope, first, apart, then the K bends, at m_k = first + k apart.
struct Drawn {
    const float *shape;
    int count;

    void at(float z, float &value, float &slope) const {
        const float apart = shape[3];
        value = shape[0] + shape[1] * (z - shape[2]), slope = shape[1];
        for (int k = 0; k < count; ++k) {
            const float u = z - (shape[2] + (float)k * apart), begun = u < 0 ? 0 : u, v = begun < apart ? begun : apart;
            value += shape[4 + k] * v * (begun - v / 2);
            slope += shape[4 + k] * v;
        }
    }
};

}  // namespace

// The hash of the source that this was built from; it stands in the file as it is written here.
EXPORT(source) const char *source() { return engine_source(); }

EXPORT(room) void *room(uint32_t bytes) { return std::calloc(1, bytes); }

EXPORT(give_back) void give_back(void *memory) { std::free(memory); }

// Uniform numbers on [0, 1) of the stream of this name.
EXPORT(uniforms) void uniforms(const uint8_t *name, uint32_t length, uint32_t count, double *to) {
    streams::Stream stream(name, length);
    for (uint32_t i = 0; i < count; ++i) to[i] = stream.uniform();
}

// The numbers from 0 to count - 1 in a random order.
EXPORT(permutation) void permutation(const uint8_t *name, uint32_t length, uint32_t count, int32_t *to) {
    streams::Stream stream(name, length);
    for (uint32_t i = 0; i < count; ++i) to[i] = (int32_t)i;
    for (uint32_t i = count; i-- > 1;) {
        const uint32_t j = stream.up_to(i);
        const int32_t held = to[i];
        to[i] = to[j], to[j] = held;
    }
}

// Standard normal numbers of one stream, `counts` of them scaled by each of `parts` scales.
EXPORT(normals) void normals(const uint8_t *name, uint32_t length, uint32_t parts, const int32_t *counts, const double *scales, float *to) {
    streams::Stream stream(name, length);
    for (uint32_t part = 0; part < parts; ++part)
        for (int32_t i = 0; i < counts[part]; ++i) *to++ = (float)(0.0 + scales[part] * stream.normal());
}

// The first word of a stream, as two halves, the low one first.
EXPORT(first_word) void first_word(const uint8_t *name, uint32_t length, uint32_t *to) {
    const uint64_t word = streams::Stream(name, length).word();
    to[0] = (uint32_t)word, to[1] = (uint32_t)(word >> 32);
}

// Next-token log-probabilities at the inner nodes, [P, M, V]; or, of a reward model, the score of every response, [P, V^T].
// sizes: vocabulary, context, layers, width, heads, outputs, L, T, and whether responses are judged whole.
EXPORT(tree) int tree(const int32_t *sizes, int32_t prompts, const float *parameters, int32_t row, const int32_t *asked, double *to) {
    const Sizes s = sizes_of(sizes, 1);
    const Wide tokens(asked, (int64_t)prompts * s.prompt);
    return tokens.numbers ? engine_tree(&s, 1, prompts, parameters, row, tokens.numbers, (int)s.whole, to) : NO_MEMORY;
}

// Steps on pairs by one of the six losses, or by a drawn one where `bends` is not 0. Updates parameters and moments; gives the
// first step whose loss was not finite, 0 for none, or minus what the engine refused. numbers: beta, rate, limit, weight decay.
EXPORT(train) int train(const int32_t *sizes, int32_t pairs, int32_t batch, int32_t steps, int32_t begun, float *parameters,
                        int32_t row, float *first, float *second, const int32_t *prompts, const int32_t *responses,
                        const float *reference, const int32_t *order, const float *factor, const float *numbers, int32_t loss,
                        const float *shape, int32_t bends) {
    const Sizes s = sizes_of(sizes, 2);
    const int64_t L = s.prompt, T = s.length, N = pairs, B = batch;
    const Wide asked(prompts, N * L), said(responses, N * 2 * T), chosen(order, (int64_t)steps * B);
    if (!asked.numbers || !said.numbers || !chosen.numbers) return -NO_MEMORY;
    int64_t diverged = -1, which = loss;
    if (!bends) {
        const Training on{N, B, steps, asked.numbers, said.numbers, reference, chosen.numbers, numbers, numbers + 1,
                          numbers + 2, &which, factor, begun, numbers[3]};
        const int refused = engine_train(&s, 1, parameters, row, first, second, &on, &diverged);
        return refused ? -refused : (int)(diverged < 0 ? 0 : diverged);
    }
    const int64_t kept = engine_kept_floats(&s, 1, B), each = s.whole ? 1 : T;
    if (kept < 0) return -BAD_SIZES;
    const Drawn drawn{shape, bends};
    int64_t *tokens = (int64_t *)std::malloc(8 * (size_t)(B * (L + 2 * T)));
    float *work = (float *)std::malloc(4 * (size_t)(kept + 2 * B * 2 * each + row));
    int refused = tokens && work ? 0 : NO_MEMORY;
    for (int64_t step = 0; step < steps && !refused; ++step) {
        int64_t *ask = tokens, *say = tokens + B * L;
        float *values = work + kept, *back = values + B * 2 * each, *gradient = back + B * 2 * each;
        for (int64_t b = 0; b < B; ++b) {
            const int64_t pair = chosen.numbers[step * B + b];
            std::memcpy(ask + b * L, asked.numbers + pair * L, 8 * (size_t)L);
            std::memcpy(say + b * 2 * T, said.numbers + pair * 2 * T, 8 * (size_t)(2 * T));
        }
        refused = engine_forward(&s, 1, B, parameters, row, ask, say, values, nullptr, work);
        double total = 0;
        for (int64_t b = 0; b < B && !refused; ++b) {
            const int64_t pair = chosen.numbers[step * B + b];
            float margin = 0, value, slope;
            for (int64_t k = 0; k < 2; ++k) {
                float sum = 0;
                for (int64_t t = 0; t < each; ++t) sum += values[(b * 2 + k) * each + t];
                margin += (k ? -1.0f : 1.0f) * (sum - reference[pair * 2 + k]);
            }
            drawn.at(numbers[0] * margin, value, slope);
            total += value;
            for (int64_t t = 0; t < each; ++t) {
                back[(b * 2) * each + t] = slope * numbers[0] / (float)B;
                back[(b * 2 + 1) * each + t] = -slope * numbers[0] / (float)B;
            }
        }
        if (!refused) refused = engine_backward(&s, 1, B, parameters, row, ask, say, back, nullptr, work, gradient);
        if (refused) break;
        if (diverged < 0 && !std::isfinite(total)) diverged = begun + step + 1;
        const float rate = numbers[1] * factor[step];
        engine_adam(1, row, parameters, gradient, first, second, &rate, numbers + 2, begun + step + 1, numbers[3]);
    }
    std::free(tokens);
    std::free(work);
    return refused ? -refused : (int)(diverged < 0 ? 0 : diverged);
}

// f and its slope of a drawn loss at some z.
EXPORT(drawn_loss) void drawn_loss(const float *shape, int32_t bends, int32_t count, const float *z, float *values, float *slopes) {
    const Drawn drawn{shape, bends};
    for (int32_t i = 0; i < count; ++i) drawn.at(z[i], values[i], slopes[i]);
}
