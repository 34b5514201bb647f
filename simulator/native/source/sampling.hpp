// Responses drawn token by token with a cache of keys and values, and what is summed along them.
//
// Shapes: R runs, N prompts, L prompt length, m responses to each, T response length, V vocabulary. A lane is a prompt, and
// its m responses are drawn side by side. A token is the largest of logit / temperature + noise, the noise given.
#pragma once

#include "passes.hpp"

namespace INSTRUCTIONS {

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

    // Read the prompt; the first output is the law of what comes first.
    void ask(const int32_t *tokens, const Seen &seen) const {
        const int64_t prompt = kept.shape.sizes.prompt;
        for (int64_t p = 0; p < prompt; ++p) embed(x + p * kept.shape.wide, w, tokens + p * LANES, p);
        through_layers(w, kept, x, {0, 1, prompt}, {prompt - 1, 1, 1}, seen);
    }
    // Read the tokens at the places `rows`; the outputs are the laws of what comes next.
    void say(const int32_t *tokens, const Seen &seen, Rows rows) const {
        for (int64_t k = 0; k < rows.count; ++k) {
            const int64_t place = rows.place(k);
            embed(x + place * kept.shape.wide, w, tokens + place * LANES, kept.shape.position(place));
        }
        through_layers(w, kept, x, rows, rows, seen);
    }
};

// KL(pi || pi_ref) and the entropy of the law of each token, and log pi - log pi_ref of the tokens that were said, summed
// along the responses of one lot, [m, LANES], from the logits at the places read.
inline void follow(const Shape &shape, const Vector *own, const Vector *other, const int32_t *chosen, double *kl, double *entropy, double *ratio) {
    const int64_t m = shape.sizes.responses;
    for (int64_t i = 0; i < m * LANES; ++i) kl[i] = entropy[i] = ratio[i] = 0;
    double here[4][LANES];
    for (int64_t q = 0; q < 1 + m * shape.inner; ++q) {
        const Vector *policy = own + q * shape.law, *base = other + q * shape.law;
        compare(policy, base, shape.sizes.vocabulary, here[0], here[1], here[2], here[3]);
        const int64_t t = q == 0 ? 0 : (q - 1) % shape.inner + 1, first = q == 0 ? 0 : (q - 1) / shape.inner;
        for (int64_t k = first; k < (q == 0 ? m : first + 1); ++k)
            for (int i = 0; i < LANES; ++i) {
                const int32_t token = chosen[(t * m + k) * LANES + i];
                if (token < 0) continue;
                kl[k * LANES + i] += here[0][i];
                entropy[k * LANES + i] += here[1][i];
                ratio[k * LANES + i] += ((double)((const float *)(policy + token))[i] - here[2][i]) -
                                        ((double)((const float *)(base + token))[i] - here[3][i]);
            }
    }
}

int sample(const Sizes *sizes, int64_t runs, int64_t prompts, const float *parameters, int64_t row, const int64_t *asked,
           int64_t asked_of_run, const float *numbers, int64_t of_token, int64_t of_run, const float *temperature, int64_t end,
           int64_t *drawn, const float *reference, double *kl, double *entropy, double *ratio) {
    const Sizes &s = *sizes;
    const int64_t m = s.responses, T = s.length;
    const Shape all(s), some(s, all.places, m);
    const int64_t stream = all.places * all.wide, own = Kept::vectors(some, false), other = reference ? Kept::vectors(all, false) : 0;
    const int64_t said = reference ? all.read * all.law : 0;
    Scratch scratch(sizeof(Vector) * (stream + own + other + said) + 4 * LANES * (all.places + T * m + m) + 24 * LANES * m +
                    seen_bytes(all.places, s.context));
    if (!scratch.there()) return 1;
    const Seen seen(scratch, all);
    int32_t *tokens = scratch.take<int32_t>(all.places * LANES), *chosen = scratch.take<int32_t>(T * m * LANES);
    float *warm = scratch.take<float>(m * LANES);
    double *along = scratch.take<double>(3 * m * LANES);
    Vector *x = scratch.take<Vector>(stream), *memory = scratch.take<Vector>(own);
    Vector *base_memory = scratch.take<Vector>(other), *logits = scratch.take<Vector>(said);
    for (int64_t run = 0; run < runs; ++run) {
        const Walker policy{Weights<const float>(parameters + run * row, s), Kept{some, memory, false}, x};
        for (int64_t n = 0; n < prompts; n += LANES) {
            const int64_t valid = smaller_of<int64_t>(LANES, prompts - n);
            for (int i = 0; i < LANES; ++i) {
                const int64_t from = smaller_of(n + i, prompts - 1);
                for (int64_t p = 0; p < s.prompt; ++p) tokens[p * LANES + i] = (int32_t)asked[run * asked_of_run + from * s.prompt + p];
                for (int64_t k = 0; k < m; ++k) warm[k * LANES + i] = temperature ? temperature[from * m + k] : 1.0f;
            }
            policy.ask(tokens, seen);
            for (int64_t t = 0; t < T; ++t) {
                if (t) {
                    const Rows rows{s.prompt + t - 1, all.inner, m};
                    for (int64_t k = 0; k < m; ++k)
                        for (int i = 0; i < LANES; ++i) {
                            const int32_t token = chosen[((t - 1) * m + k) * LANES + i];
                            tokens[rows.place(k) * LANES + i] = token < 0 ? 0 : token;
                        }
                    policy.say(tokens, seen, rows);
                }
                for (int64_t k = 0; k < m; ++k) {
                    const Vector *law = policy.kept.laws() + (t ? k * all.law : 0);
                    const float *noise[LANES];
                    for (int i = 0; i < LANES; ++i)
                        noise[i] = numbers + t * of_token + run * of_run + (smaller_of(n + i, prompts - 1) * m + k) * s.vocabulary;
                    int32_t *here = chosen + (t * m + k) * LANES;
                    choose(here, law, s.vocabulary, noise, temperature ? warm + k * LANES : nullptr);
                    for (int i = 0; t && i < LANES; ++i) {
                        const int32_t before = chosen[((t - 1) * m + k) * LANES + i];
                        if (before < 0 || before == end) here[i] = -1;
                    }
                    for (int64_t i = 0; i < valid; ++i) drawn[((run * prompts + n + i) * m + k) * T + t] = here[i];
                    if (reference && (t || k == 0))
                        __builtin_memcpy(logits + all.source(k, t) * all.law, law, sizeof(Vector) * s.vocabulary);
                }
            }
            if (!reference) continue;
            const Walker base{Weights<const float>(reference, s), Kept{all, base_memory, false}, x};
            for (int64_t p = 0; p < all.places; ++p) embed(x + p * all.wide, base.w, tokens + p * LANES, all.position(p));
            through_layers(base.w, base.kept, x, all.everything(), all.last_read(), seen);
            double *sums[3] = {along, along + m * LANES, along + 2 * m * LANES}, *to[3] = {kl, entropy, ratio};
            follow(all, logits, base.kept.laws(), chosen, sums[0], sums[1], sums[2]);
            for (int sum = 0; sum < 3; ++sum)
                for (int64_t i = 0; i < valid; ++i)
                    for (int64_t k = 0; k < m; ++k) to[sum][(run * prompts + n + i) * m + k] = sums[sum][k * LANES + i];
        }
    }
    return 0;
}

}  // namespace INSTRUCTIONS
