// Passes over the runs of a stack: log-probabilities or scores of packed responses, and the gradient for cotangents.
//
// Shapes: R runs, N prompts of each, L prompt length, K responses of T tokens to a prompt, D numbers of a row.
#pragma once

#include "network.hpp"

namespace INSTRUCTIONS {

// Packed tokens of LANES prompts from prompt n on, [S, LANES]; behind the last prompt it is repeated.
inline void pack(int32_t *to, const Shape &shape, const int64_t *prompts, const int64_t *responses, int64_t n, int64_t count) {
    const Sizes &s = shape.sizes;
    for (int i = 0; i < LANES; ++i) {
        int64_t row = smaller_of(n + i, count - 1);
        const int64_t *prompt = prompts + row * s.prompt, *said = responses + row * s.responses * s.length;
        for (int64_t p = 0; p < s.prompt; ++p) to[p * LANES + i] = (int32_t)prompt[p];
        for (int64_t k = 0; k < s.responses; ++k)
            for (int64_t t = 0; t < shape.inner; ++t) {
                int64_t token = said[k * s.length + t];
                to[(shape.begin(k) + t) * LANES + i] = (int32_t)(token >= 0 ? token : s.whole ? s.vocabulary - 1 : 0);
            }
    }
}

// The law of each place read, instead of its logits, and the log-probability of what was said; 0 behind an end.
// law = false leaves the laws undone, where only the log-probabilities are wanted.
inline void say(const Kept &kept, const int64_t *responses, int64_t n, int64_t count, float *values, bool law) {
    const Shape &shape = kept.shape;
    const Sizes &s = shape.sizes;
    const int64_t valid = smaller_of<int64_t>(LANES, count - n), tokens = s.responses * s.length;
    for (int64_t q = 0; q < shape.read; ++q) {
        Vector *logits = kept.laws() + q * shape.law;
        Vector most = logits[0], total{};
        for (int64_t v = 1; v < s.outputs; ++v) most = larger(logits[v], most);
        const int64_t first = q == 0 ? 0 : (q - 1) / shape.inner, t = q == 0 ? 0 : (q - 1) % shape.inner + 1;
        const int64_t last = q == 0 ? s.responses : first + 1;
        for (int64_t k = first; k < last; ++k)
            for (int64_t i = 0; i < valid; ++i) {
                int64_t token = responses[(n + i) * tokens + k * s.length + t];
                values[(n + i) * tokens + k * s.length + t] = token < 0 ? 0.0f : ((const float *)(logits + token))[i];
            }
        for (int64_t v = 0; v < s.outputs; ++v) {
            Vector x = exponential(logits[v] - most);
            total += x;
            if (law) logits[v] = x;
        }
        float normalizer[LANES];
        store(normalizer, logarithm(total) + most);
        for (int64_t k = first; k < last; ++k)
            for (int64_t i = 0; i < valid; ++i)
                if (responses[(n + i) * tokens + k * s.length + t] >= 0) values[(n + i) * tokens + k * s.length + t] -= normalizer[i];
        if (law) {
            total = all(1.0f) / total;
            for (int64_t v = 0; v < s.outputs; ++v) logits[v] *= total;
        }
    }
}

// The gradient at the logits, where the laws are, from cotangents of the log-probabilities [N, K, T].
inline void through_saying(const Kept &kept, const int64_t *responses, int64_t n, int64_t count, const float *cotangents) {
    const Shape &shape = kept.shape;
    const Sizes &s = shape.sizes;
    const int64_t valid = smaller_of<int64_t>(LANES, count - n), tokens = s.responses * s.length;
    for (int64_t q = 0; q < shape.read; ++q) {
        Vector *law = kept.laws() + q * shape.law, total{};
        const int64_t first = q == 0 ? 0 : (q - 1) / shape.inner, t = q == 0 ? 0 : (q - 1) % shape.inner + 1;
        const int64_t last = q == 0 ? s.responses : first + 1;
        float sum[LANES] = {};
        for (int64_t k = first; k < last; ++k)
            for (int64_t i = 0; i < valid; ++i) {
                int64_t at = (n + i) * tokens + k * s.length + t;
                if (responses[at] >= 0) sum[i] += cotangents[at];
            }
        total = load(sum);
        for (int64_t v = 0; v < s.outputs; ++v) law[v] = -law[v] * total;
        for (int64_t k = first; k < last; ++k)
            for (int64_t i = 0; i < valid; ++i) {
                int64_t at = (n + i) * tokens + k * s.length + t;
                if (responses[at] >= 0) ((float *)(law + responses[at]))[i] += cotangents[at];
            }
    }
}

// What a network of one output says of whole responses, [N, K]; and the other way round.
inline void score(const Kept &kept, int64_t n, int64_t count, float *values) {
    const int64_t responses = kept.shape.sizes.responses, valid = smaller_of<int64_t>(LANES, count - n);
    for (int64_t k = 0; k < responses; ++k)
        for (int64_t i = 0; i < valid; ++i) values[(n + i) * responses + k] = ((const float *)(kept.laws() + k * kept.shape.law))[i];
}

inline void through_scores(const Kept &kept, int64_t n, int64_t count, const float *cotangents) {
    const int64_t responses = kept.shape.sizes.responses, valid = smaller_of<int64_t>(LANES, count - n);
    for (int64_t k = 0; k < responses; ++k) {
        Vector *to = kept.laws() + k * kept.shape.law;
        *to = Vector{};
        for (int64_t i = 0; i < valid; ++i) ((float *)to)[i] = cotangents[(n + i) * responses + k];
    }
}

// What tokens are predicted from, normed, [N, K, T, d]; and the cotangent of it, added up by place read, [Q, d].
inline void states(const Kept &kept, int64_t n, int64_t count, float *to) {
    const Shape &shape = kept.shape;
    const Sizes &s = shape.sizes;
    const int64_t valid = smaller_of<int64_t>(LANES, count - n), d = s.width;
    for (int64_t k = 0; k < s.responses; ++k)
        for (int64_t t = 0; t < s.length; ++t) {
            const Vector *from = kept.states() + shape.source(k, t) * shape.wide;
            for (int64_t i = 0; i < valid; ++i)
                for (int64_t c = 0; c < d; ++c) to[(((n + i) * s.responses + k) * s.length + t) * d + c] = from[c][i];
        }
}

inline void through_states(const Shape &shape, int64_t n, int64_t count, const float *cotangents, Vector *to) {
    const Sizes &s = shape.sizes;
    const int64_t valid = smaller_of<int64_t>(LANES, count - n), d = s.width;
    fill(to, shape.read * d, Vector{});
    for (int64_t k = 0; k < s.responses; ++k)
        for (int64_t t = 0; t < s.length; ++t) {
            Vector *here = to + shape.source(k, t) * d;
            for (int64_t i = 0; i < valid; ++i)
                for (int64_t c = 0; c < d; ++c) here[c][i] += cotangents[(((n + i) * s.responses + k) * s.length + t) * d + c];
        }
}

// One lot of LANES prompts, forward.
inline void lot_forward(
    const Kept &kept, const Weights<const float> &w, const int64_t *prompts, const int64_t *responses, int64_t n, int64_t count,
    float *values, float *at_states, bool keep, const Seen &seen, Vector *x, int32_t *tokens) {
    const Shape &shape = kept.shape;
    pack(tokens, shape, prompts, responses, n, count);
    for (int64_t p = 0; p < shape.places; ++p) embed(x + p * shape.wide, w, tokens + p * LANES, shape.position(p));
    through_layers(w, kept, x, shape.everything(), shape.last_read(), seen);
    if (at_states) states(kept, n, count, at_states);
    if (shape.sizes.whole)
        score(kept, n, count, values);
    else
        say(kept, responses, n, count, values, keep);
}

inline int64_t lots(int64_t prompts) { return (prompts + LANES - 1) / LANES; }

int64_t kept_floats(const Sizes *sizes, int64_t prompts) { return Kept::vectors(Shape(*sizes), true) * LANES * lots(prompts); }

inline int64_t seen_bytes(int64_t places, int64_t context) { return places * (context * 4 + 8); }

// 0, or 1 where there is no memory left.
int forward(const Sizes *sizes, int64_t runs, int64_t prompts, const float *parameters, int64_t row, const int64_t *asked,
             const int64_t *said, float *values, float *at_states, float *keep) {
    const Shape shape(*sizes);
    const Sizes &s = *sizes;
    const int64_t of_lot = Kept::vectors(shape, keep != nullptr), each = s.responses * (s.whole ? 1 : s.length);
    Scratch scratch(sizeof(Vector) * (shape.places * shape.wide + (keep ? 0 : of_lot)) + 4 * LANES * shape.places +
                    seen_bytes(shape.places, s.context));
    if (!scratch.there()) return 1;
    const Seen seen(scratch, shape);
    Vector *x = scratch.take<Vector>(shape.places * shape.wide);
    int32_t *tokens = scratch.take<int32_t>(shape.places * LANES);
    Vector *own = keep ? nullptr : scratch.take<Vector>(of_lot);
    for (int64_t run = 0; run < runs; ++run) {
        const Weights<const float> w(parameters + run * row, s);
        const int64_t *prompt = asked + run * prompts * s.prompt, *response = said + run * prompts * s.responses * s.length;
        for (int64_t lot = 0; lot < lots(prompts); ++lot) {
            Vector *memory = keep ? (Vector *)keep + (run * lots(prompts) + lot) * of_lot : own;
            lot_forward(Kept{shape, memory, keep != nullptr}, w, prompt, response, lot * LANES, prompts, values + run * prompts * each,
                        at_states ? at_states + run * prompts * s.responses * s.length * s.width : nullptr, keep != nullptr, seen, x, tokens);
        }
    }
    return 0;
}

int backward(const Sizes *sizes, int64_t runs, int64_t prompts, const float *parameters, int64_t row, const int64_t *asked,
              const int64_t *said, const float *cotangents, const float *at_states, float *keep, float *gradients) {
    const Shape shape(*sizes);
    const Sizes &s = *sizes;
    const int64_t of_lot = Kept::vectors(shape, true), each = s.responses * (s.whole ? 1 : s.length);
    Scratch scratch(sizeof(Vector) * (shape.scratch_vectors() + (at_states ? shape.read * shape.width : 0)) +
                    4 * LANES * shape.places + seen_bytes(shape.places, s.context));
    if (!scratch.there()) return 1;
    const Seen seen(scratch, shape);
    Vector *work = scratch.take<Vector>(shape.scratch_vectors());
    Vector *to_states = at_states ? scratch.take<Vector>(shape.read * shape.width) : nullptr;
    int32_t *tokens = scratch.take<int32_t>(shape.places * LANES);
    for (int64_t run = 0; run < runs; ++run) {
        const Weights<const float> w(parameters + run * row, s);
        const Weights<float> to(gradients + run * row, s);
        const int64_t *prompt = asked + run * prompts * s.prompt, *response = said + run * prompts * s.responses * s.length;
        const float *back = cotangents + run * prompts * each;
        fill(gradients + run * row, row, 0.0f);
        for (int64_t lot = 0; lot < lots(prompts); ++lot) {
            const Kept kept{shape, (Vector *)keep + (run * lots(prompts) + lot) * of_lot, true};
            pack(tokens, shape, prompt, response, lot * LANES, prompts);
            if (s.whole)
                through_scores(kept, lot * LANES, prompts, back);
            else
                through_saying(kept, response, lot * LANES, prompts, back);
            if (at_states)
                through_states(shape, lot * LANES, prompts, at_states + run * prompts * s.responses * s.length * s.width, to_states);
            through_network_backwards(w, to, kept, tokens, seen, work, to_states);
        }
    }
    return 0;
}

// AdamW with the gradient of each run clipped by its norm: simulator/networks/optimizer.py has the formulas.
void adam(int64_t runs, int64_t row, float *parameters, const float *gradients, float *first, float *second, const float *rate,
          const float *limit, int64_t step, float weight_decay) {
    const double first_left = 1 - __builtin_pow(0.9, (double)step), second_left = 1 / __builtin_sqrt(1 - __builtin_pow(0.999, (double)step));
    const Vector most = all(1e18f), spread = all((float)second_left), epsilon = all(1e-8f);
    for (int64_t run = 0; run < runs; ++run) {
        const float *gradient = gradients + run * row;
        float *at = parameters + run * row, *one = first + run * row, *two = second + run * row;
        Vector scale = all(1.0f);
        if (!__builtin_isinf(limit[run])) {
            double squares[16] = {};
            for (int64_t i = 0; i < row; i += 16)
                for (int j = 0; j < 16; ++j) squares[j] += (double)gradient[i + j] * gradient[i + j];
            double total = 0;
            for (int j = 0; j < 16; ++j) total += squares[j];
            double found = (double)limit[run] / (__builtin_sqrt(total) + 1e-6);
            scale = all((float)(found > 1.0 ? 1.0 : found));
        }
        const Vector pace = all((float)(rate[run] / first_left)), left = all(1 - weight_decay * rate[run]);
        for (int64_t i = 0; i < row; i += LANES) {
            Vector g = load(gradient + i) * scale, x = load(at + i);
            g = g < -most ? -most : g;
            g = g > most ? most : g;
            Vector m = load(one + i);
            m = m + (g - m) * all(0.1f);
            Vector v = load(two + i) * all(0.999f) + g * g * all(0.001f);
            store(one + i, m);
            store(two + i, v);
            if (weight_decay != 0) x = x * left;
            store(at + i, x - m / (square_root(v) * spread + epsilon) * pace);
        }
    }
}

}  // namespace INSTRUCTIONS
