// What Python calls: sizes and tokens are checked here, and the widest instruction set of this machine is chosen.
#include <initializer_list>

#include "table.h"

Kernels kernels_plain();
#if defined(__x86_64__)
Kernels kernels_avx2();
Kernels kernels_avx512();
#endif

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace {

constexpr int64_t LARGEST = int64_t(1) << 20;       // of any size
constexpr int64_t MOST = int64_t(1) << 40;          // numbers of any array

int available(Kernels *found) {
    int count = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        found[count++] = kernels_avx512();
    if (avx2) found[count++] = kernels_avx2();
#endif
    found[count++] = kernels_plain();
    return count;
}

Kernels chosen() {
    Kernels found[3];
    available(found);
    return found[0];
}

Kernels current = chosen();

bool within(int64_t x, int64_t least, int64_t most) { return x >= least && x <= most; }

// Numbers that a block of LANES prompts keeps for its gradient, at most; float64 holds the product without overflow.
double of_block(const Sizes *s, bool tree) {
    const double inner = (double)(s->whole ? s->length : s->length - 1);
    const double places = (double)s->prompt + (double)s->responses * inner + (tree ? (double)s->length * (double)s->vocabulary : 0.0);
    const double each = 16.0 * (double)s->width + 3.0 * (double)s->heads * (double)s->context + (double)s->outputs + 64.0;
    return 16.0 * places * each * (double)s->layers;
}

// Whether a pass over so many runs and prompts stays within its arrays, with rows of parameters of this length; -1: none.
bool sound(const Sizes *s, int64_t runs, int64_t prompts, int64_t row, bool tree) {
    for (int64_t x : {s->vocabulary, s->context, s->layers, s->width, s->heads, s->outputs, s->prompt, s->responses, s->length})
        if (!within(x, 1, LARGEST)) return false;
    if (!within(runs, 0, LARGEST) || !within(prompts, 0, MOST) || !within(s->whole, 0, 1)) return false;
    if (s->width % 16 || s->width % s->heads) return false;
    if (s->prompt + (s->whole ? s->length : s->length - 1) > s->context) return false;
    if (!s->whole && s->outputs != s->vocabulary) return false;
    if (tree && s->responses != 1) return false;
    const double weights = ((double)s->vocabulary + (double)s->context + (double)s->outputs + 12.0 * (double)s->layers * (double)s->width) * (double)s->width;
    if (row >= 0 && (weights > (double)row || row % 64 || row > MOST)) return false;
    const double tokens = (double)s->prompt + (double)s->responses * (double)s->length * (tree ? 1.0 : (double)s->vocabulary + 1.0);
    return of_block(s, tree) < (double)MOST && (double)runs * (double)prompts * tokens < (double)MOST;
}

// Whether what all runs and prompts keep for a gradient stays within bounds.
bool fits(const Sizes *s, int64_t runs, int64_t prompts) {
    return of_block(s, false) * ((double)prompts / 4.0 + 1.0) * (double)runs < 16.0 * (double)MOST;
}

// Whether all tokens are of the vocabulary; those of responses may be negative, behind an end.
bool known(const int64_t *tokens, int64_t count, int64_t vocabulary, bool ended) {
    bool fine = true;
    for (int64_t i = 0; i < count; ++i) fine &= tokens[i] < vocabulary && (ended || tokens[i] >= 0);
    return fine;
}

}  // namespace

EXPORT const char *engine_instructions(void) { return current.name; }

#ifndef ENGINE_SOURCE
#define ENGINE_SOURCE ""
#endif

// The hash of the source that this was compiled from.
EXPORT const char *engine_source(void) { return ENGINE_SOURCE; }

// Choose the set with this name; 0 where this machine does not have it.
EXPORT int engine_choose(const char *name) {
    Kernels found[3];
    const int count = available(found);
    for (int i = 0; i < count; ++i) {
        const char *a = found[i].name, *b = name;
        while (*a && *a == *b) ++a, ++b;
        if (*a == *b) {
            current = found[i];
            return 1;
        }
    }
    return 0;
}

// How many numbers a forward pass keeps for its gradient; negative where the sizes are not taken.
EXPORT int64_t engine_kept_floats(const Sizes *sizes, int64_t runs, int64_t prompts) {
    return sound(sizes, runs, prompts, -1, false) && fits(sizes, runs, prompts) ? runs * current.kept_floats(sizes, prompts) : -1;
}

EXPORT int engine_forward(const Sizes *sizes, int64_t runs, int64_t prompts, const float *parameters, int64_t row,
                          const int64_t *asked, const int64_t *said, float *values, float *states, float *kept) {
    if (row < 1 || !sound(sizes, runs, prompts, row, false)) return BAD_SIZES;
    if (kept && !fits(sizes, runs, prompts)) return BAD_SIZES;
    const int64_t count = runs * prompts;
    if (!known(asked, count * sizes->prompt, sizes->vocabulary, false) ||
        !known(said, count * sizes->responses * sizes->length, sizes->vocabulary, true))
        return BAD_TOKEN;
    return current.forward(sizes, runs, prompts, parameters, row, asked, said, values, states, kept);
}

EXPORT int engine_backward(const Sizes *sizes, int64_t runs, int64_t prompts, const float *parameters, int64_t row,
                           const int64_t *asked, const int64_t *said, const float *cotangents, const float *at_states,
                           float *kept, float *gradients) {
    if (row < 1 || !sound(sizes, runs, prompts, row, false)) return BAD_SIZES;
    if (!fits(sizes, runs, prompts)) return BAD_SIZES;
    const int64_t count = runs * prompts;
    if (!known(asked, count * sizes->prompt, sizes->vocabulary, false) ||
        !known(said, count * sizes->responses * sizes->length, sizes->vocabulary, true))
        return BAD_TOKEN;
    return current.backward(sizes, runs, prompts, parameters, row, asked, said, cotangents, at_states, kept, gradients);
}

EXPORT int engine_adam(int64_t runs, int64_t row, float *parameters, const float *gradients, float *first, float *second,
                       const float *rate, const float *limit, int64_t step, double weight_decay) {
    if (!within(runs, 0, LARGEST) || !within(row, 1, MOST) || row % 64 || step < 1) return BAD_SIZES;
    current.adam(runs, row, parameters, gradients, first, second, rate, limit, step, weight_decay);
    return FINE;
}

EXPORT int engine_sample(const Sizes *sizes, int64_t runs, int64_t prompts, const float *parameters, int64_t row,
                         const int64_t *asked, int64_t asked_of_run, const float *noise, int64_t of_token, int64_t of_run,
                         const float *temperature, int64_t end, int64_t *drawn, const float *reference, double *kl,
                         double *entropy, double *ratio) {
    if (row < 1 || !sound(sizes, runs, prompts, row, false) || sizes->whole) return BAD_SIZES;
    if (!known(asked, (asked_of_run ? runs : 1) * prompts * sizes->prompt, sizes->vocabulary, false)) return BAD_TOKEN;
    return current.sample(sizes, runs, prompts, parameters, row, asked, asked_of_run, noise, of_token, of_run, temperature,
                          end, drawn, reference, kl, entropy, ratio);
}

EXPORT int engine_tree(const Sizes *sizes, int64_t runs, int64_t prompts, const float *parameters, int64_t row,
                       const int64_t *asked, int leaves, double *to) {
    if (row < 1 || !sound(sizes, runs, prompts, row, true) || (leaves != 0) != (sizes->whole != 0)) return BAD_SIZES;
    if (!known(asked, prompts * sizes->prompt, sizes->vocabulary, false)) return BAD_TOKEN;
    return current.tree(sizes, runs, prompts, parameters, row, asked, leaves, to);
}

EXPORT int engine_train(const Sizes *sizes, int64_t runs, float *parameters, int64_t row, float *first, float *second,
                        const Training *on, int64_t *diverged) {
    if (row < 1 || on->pairs < 1 || !sound(sizes, runs, on->pairs, row, false) || sizes->responses != 2) return BAD_SIZES;
    if (!within(on->batch, 1, on->order ? LARGEST : on->pairs) || !within(on->steps, 1, LARGEST) || on->begun < 0) return BAD_SIZES;
    if ((double)runs * (double)on->steps * (double)on->batch >= (double)MOST) return BAD_SIZES;
    const int64_t count = runs * on->pairs;
    if (!known(on->prompts, count * sizes->prompt, sizes->vocabulary, false) ||
        !known(on->responses, count * 2 * sizes->length, sizes->vocabulary, true))
        return BAD_TOKEN;
    if ((on->order && !known(on->order, on->steps * runs * on->batch, on->pairs, false)) || !known(on->loss, runs, 6, false))
        return BAD_ORDER;
    return current.train(sizes, runs, parameters, row, first, second, on, diverged);
}

EXPORT int engine_judge(const Sizes *sizes, int64_t texts, const float *weights, int64_t numbers, const int64_t *text, float *scores) {
    if (!sound(sizes, 1, texts, -1, false)) return BAD_SIZES;
    const int64_t d = sizes->width;
    if (numbers != (sizes->vocabulary + sizes->context + 12 * sizes->layers * d + 1) * d) return BAD_SIZES;
    if (!known(text, texts * sizes->context, sizes->vocabulary, true)) return BAD_TOKEN;
    return current.judge(sizes, texts, weights, text, scores);
}

EXPORT int engine_placements(int64_t rows, int64_t m, const double *a, int64_t b, const double *others, int64_t of_row,
                             double *of_a, double *of_b) {
    if (!within(rows, 0, MOST) || !within(m, 1, LARGEST) || !within(b, 1, LARGEST) || (of_row != 0 && of_row != b)) return BAD_SIZES;
    current.placements(rows, m, a, b, others, of_row, of_a, of_b);
    return FINE;
}

EXPORT int engine_moments(int64_t runs, int64_t prompts, int64_t responses, const double *log_probs, const double *log_reference,
                          const double *reference, const double *behaviour, int64_t tables, const double *table,
                          const uint8_t *parts, double *to) {
    if (!within(runs, 0, LARGEST) || !within(prompts, 1, LARGEST) || !within(responses, 1, MOST) || !within(tables, parts ? 1 : 0, LARGEST))
        return BAD_SIZES;
    current.moments(runs, prompts, responses, log_probs, log_reference, reference, behaviour, tables, table, parts, to);
    return FINE;
}
