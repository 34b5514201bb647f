// Responses drawn token by token with a cache of keys and values, and what is summed along them.
//
// Shapes: R runs, N prompts, L prompt length, m responses to each, T response length, V vocabulary. A lane is a prompt, and
// its m responses are drawn side by side. A token is the largest of logit / temperature + noise, the noise given.
#pragma once

#include "passes.hpp"

namespace INSTRUCTIONS {

// What is summed along responses [R, N, m], float64: KL(pi || pi_ref) and the entropy of the law of each token, and
// log pi - log pi_ref of the tokens that were said. Each may be missing; all are without a reference.
struct Along {
    double *kl, *entropy, *ratio;
};

struct Noise {
    const float *numbers;          // [T, R or 1, N, m, V]
    int64_t of_token, of_run;      // strides
    const float *temperature;      // [N, m], or none for 1
};

// The token of each lane: the first with the largest logit / temperature + noise.
inline void choose(int32_t *tokens, const Vector *logits, int64_t vocabulary, const float *const *noise, const float *temperature) {
    Vector best = all(-__builtin_inff());
    Whole at{};
    for (int64_t first = 0; first < vocabulary; first += LANES) {
        const int64_t count = smaller_of<int64_t>(LANES, vocabulary - first);
        Vector block[LANES];
        for (int i = 0; i < LANES; ++i) {
            float row[LANES] = {};
            if (count == LANES) {
                block[i] = load(noise[i] + first);
            } else {
                for (int64_t j = 0; j < count; ++j) row[j] = noise[i][first + j];
                block[i] = load(row);
            }
        }
        transpose(block);
        for (int64_t j = 0; j < count; ++j) {
            Vector here = (temperature ? logits[first + j] / load(temperature) : logits[first + j]) + block[j];
            Whole more = (Whole)(here > best);
            best = more ? here : best;
            at = more ? all_whole((int32_t)(first + j)) : at;
        }
    }
    __builtin_memcpy(tokens, &at, sizeof at);
}

// log of a law's normalizer, log sum exp of the logits, of half of the lanes.
inline Double normalizer(const Vector *logits, int64_t vocabulary, int part) {
    Double most = half(logits, part), total{};
    for (int64_t v = 1; v < vocabulary; ++v) {
        Double x = half(logits + v, part);
        most = x > most ? x : most;
    }
    for (int64_t v = 0; v < vocabulary; ++v) total += exponential(half(logits + v, part) - most);
    return most + logarithm(total);
}

// KL(pi || pi_ref) and the entropy of next-token laws, and both normalizers, [LANES] each.
inline void compare(const Vector *own, const Vector *other, int64_t vocabulary, double *kl, double *entropy, double *own_z, double *other_z) {
    for (int part = 0; part < 2; ++part) {
        const Double z = normalizer(own, vocabulary, part), zr = normalizer(other, vocabulary, part);
        Double far{}, spread{};
        for (int64_t v = 0; v < vocabulary; ++v) {
            const Double log_pi = half(own + v, part) - z, log_ref = half(other + v, part) - zr, pi = exponential(log_pi);
            far += exponential(log_ref) - pi - pi * (log_ref - log_pi);  // no term is negative
            spread -= pi * log_pi;
        }
        __builtin_memcpy(kl + part * HALF, &far, sizeof far);
        __builtin_memcpy(entropy + part * HALF, &spread, sizeof spread);
        __builtin_memcpy(own_z + part * HALF, &z, sizeof z);
        __builtin_memcpy(other_z + part * HALF, &zr, sizeof zr);
    }
}

// A network on its way along responses.
struct Walker {
    Weights<const float> w;
    Kept kept;
    Vector *x;

    void ask(const int32_t *tokens, const Seen &seen) const {
        const int64_t prompt = kept.shape.sizes.prompt;
        for (int64_t p = 0; p < prompt; ++p) embed(x + p * kept.shape.wide, w, tokens + p * LANES, p);
        through_layers(w, kept, x, {0, 1, prompt}, {prompt - 1, 1, 1}, seen);
    }
    void say(const int32_t *tokens, const Seen &seen, Rows rows) const {
        for (int64_t k = 0; k < rows.count; ++k) {
            const int64_t place = rows.place(k);
            embed(x + place * kept.shape.wide, w, tokens + place * LANES, kept.shape.position(place));
        }
        through_layers(w, kept, x, rows, rows, seen);
    }
};

int sample(const Sizes *sizes, int64_t runs, int64_t prompts, const float *parameters, int64_t row, const int64_t *asked,
           int64_t asked_of_run, const float *numbers, int64_t of_token, int64_t of_run, const float *temperature, int64_t end,
           int64_t *drawn, const float *reference, double *kl, double *entropy, double *ratio) {
    const Sizes &s = *sizes;
    Shape shape(s);
    if (shape.read < s.responses) shape.read = s.responses;
    const int64_t m = s.responses, T = s.length, vectors = shape.places * shape.wide + shape.kept_vectors();
    Scratch scratch(sizeof(Vector) * vectors * (reference ? 2 : 1) + 4 * LANES * (shape.places + m) + m * LANES +
                    seen_bytes(shape.places, s.context) + 4 * LANES * m);
    if (!scratch.there()) return 1;
    const Seen seen(scratch, shape);
    int32_t *tokens = scratch.take<int32_t>(shape.places * LANES), *chosen = scratch.take<int32_t>(m * LANES);
    uint8_t *over = scratch.take<uint8_t>(m * LANES);
    float *warm = scratch.take<float>(m * LANES);
    Vector *own = scratch.take<Vector>(vectors), *other = reference ? scratch.take<Vector>(vectors) : nullptr;
    const Along along{kl, entropy, ratio};
    for (int64_t run = 0; run < runs; ++run) {
        const Walker policy{Weights<const float>(parameters + run * row, s), Kept{shape, own + shape.places * shape.wide}, own};
        const Walker base{Weights<const float>(reference ? reference : parameters, s),
                          Kept{shape, (reference ? other : own) + shape.places * shape.wide}, reference ? other : own};
        for (int64_t n = 0; n < prompts; n += LANES) {
            const int64_t valid = smaller_of<int64_t>(LANES, prompts - n);
            for (int i = 0; i < LANES; ++i) {
                const int64_t from = smaller_of(n + i, prompts - 1);
                for (int64_t p = 0; p < s.prompt; ++p) tokens[p * LANES + i] = (int32_t)asked[run * asked_of_run + from * s.prompt + p];
                for (int64_t k = 0; k < m; ++k) {
                    over[k * LANES + i] = 0;
                    warm[k * LANES + i] = temperature ? temperature[from * m + k] : 1.0f;
                }
            }
            policy.ask(tokens, seen);
            if (reference) base.ask(tokens, seen);
            for (int64_t t = 0; t < T; ++t) {
                if (t) {
                    const Rows rows{s.prompt + t - 1, shape.inner, m};
                    for (int64_t k = 0; k < m; ++k) __builtin_memcpy(tokens + rows.place(k) * LANES, chosen + k * LANES, 4 * LANES);
                    policy.say(tokens, seen, rows);
                    if (reference) base.say(tokens, seen, rows);
                }
                double here[4][LANES];
                for (int64_t k = 0; k < m; ++k) {
                    const Vector *logits = policy.kept.laws() + (t ? k * shape.law : 0);
                    const Vector *others = base.kept.laws() + (t ? k * shape.law : 0);
                    const float *noise[LANES];
                    for (int i = 0; i < LANES; ++i)
                        noise[i] = numbers + t * of_token + run * of_run + (smaller_of(n + i, prompts - 1) * m + k) * s.vocabulary;
                    choose(chosen + k * LANES, logits, s.vocabulary, noise, temperature ? warm + k * LANES : nullptr);
                    if (reference && (t || k == 0)) compare(logits, others, s.vocabulary, here[0], here[1], here[2], here[3]);
                    for (int64_t i = 0; i < valid; ++i) {
                        const int64_t response = (run * prompts + n + i) * m + k;
                        const int32_t token = chosen[k * LANES + i];
                        uint8_t &ended = over[k * LANES + i];
                        drawn[response * T + t] = ended ? -1 : token;
                        if (reference) {
                            if (t == 0) along.kl[response] = along.entropy[response] = along.ratio[response] = 0;
                            if (!ended) {
                                along.kl[response] += here[0][i];
                                along.entropy[response] += here[1][i];
                                along.ratio[response] += ((double)((const float *)(logits + token))[i] - here[2][i]) -
                                                         ((double)((const float *)(others + token))[i] - here[3][i]);
                            }
                        }
                        if (token == end) ended = 1;
                    }
                }
            }
        }
    }
    return 0;
}

}  // namespace INSTRUCTIONS
