// Whole steps on pairs by a loss f of beta times the margin: forward, f', backward and Adam, one run after another, so that
// a run's weights, moments and work stay in a core's own cache.
//
// Shapes: R runs, N pairs of each, B pairs of a step, L prompt length, two responses of T tokens, chosen first, D numbers
// of a row. The losses are those of simulator/objectives/losses/gpo.py.
#pragma once

#include "passes.hpp"

namespace INSTRUCTIONS {

enum Loss { LOGISTIC, HINGE, SQUARED, EXPONENTIAL, TRUNCATED_QUADRATIC, SAVAGE, LOSSES };

struct Point {
    float value, slope;
};

// f(z) and f'(z).
inline Point loss_at(int64_t loss, float z) {
    const float gap = 1 - z, above = gap < 0 ? 0 : gap;  // NaN stays NaN
    switch (loss) {
        case LOGISTIC: {
            // log(1 + e^-z) and its slope, from e^-|z|
            const float e = __builtin_expf(z < 0 ? z : -z), less = 1 / (1 + e);
            return {(z < 0 ? -z : 0) + __builtin_log1pf(e), z < 0 ? -less : -e * less};
        }
        case HINGE: return {above, gap > 0 ? -1.0f : gap != gap ? gap : 0.0f};
        case SQUARED: return {gap * gap, -2 * gap};
        case EXPONENTIAL: {
            const float e = __builtin_expf(-z);
            return {e, -e};
        }
        case TRUNCATED_QUADRATIC: return {above * above, -2 * above};
        default: {
            const float s = 1 / (1 + __builtin_expf(z));
            return {s * s, -2 * s * s * (1 - s)};
        }
    }
}

struct Workshop {
    Vector *kept, *work, *x;
    int32_t *tokens;
    int64_t *prompts, *responses;
    float *values, *cotangents, *reference, *gradient;
};

// The gradient of one run's mean loss on a batch, in `at.gradient`; the mean loss.
inline double gradient_of_loss(const Shape &shape, const Seen &seen, const Workshop &at, const float *parameters, int64_t batch,
                               float beta, int64_t loss) {
    const Sizes &s = shape.sizes;
    const int64_t each = s.whole ? 1 : s.length;
    const Weights<const float> w(parameters, s);
    const Weights<float> to(at.gradient, s);
    const Kept kept{shape, at.kept, true};
    double total = 0;
    for (int64_t n = 0; n < batch; n += LANES) {
        lot_forward(kept, w, at.prompts, at.responses, n, batch, at.values, nullptr, true, seen, at.x, at.tokens);
        for (int64_t i = n; i < smaller_of(n + LANES, batch); ++i) {
            float ratio[2];
            for (int64_t k = 0; k < 2; ++k) {
                float sum = 0;
                for (int64_t t = 0; t < each; ++t) sum += at.values[(i * 2 + k) * each + t];
                ratio[k] = sum - at.reference[i * 2 + k];
            }
            const Point point = loss_at(loss, beta * (ratio[0] - ratio[1]));
            total += point.value;
            const float back = point.slope * beta / (float)batch;
            for (int64_t t = 0; t < each; ++t) {
                at.cotangents[(i * 2) * each + t] = back;
                at.cotangents[(i * 2 + 1) * each + t] = -back;
            }
        }
        if (s.whole)
            through_scores(kept, n, batch, at.cotangents);
        else
            through_saying(kept, at.responses, n, batch, at.cotangents);
        through_network_backwards(w, to, kept, at.tokens, seen, at.work, nullptr);
    }
    return total / (double)batch;
}

// diverged [R]: the first step whose loss was not finite, unless one is known already; -1 for none.
int train(const Sizes *sizes, int64_t runs, float *parameters, int64_t row, float *first, float *second, const Training *on, int64_t *diverged) {
    const Shape shape(*sizes);
    const Sizes &s = *sizes;
    const int64_t of_lot = Kept::vectors(shape, true), B = on->batch, N = on->pairs, L = s.prompt, said = 2 * s.length;
    Scratch scratch(sizeof(Vector) * (of_lot + shape.scratch_vectors() + shape.places * shape.wide) + 4 * LANES * shape.places +
                    seen_bytes(shape.places, s.context) + 8 * B * (L + said) + 4 * (2 * B * said + 2 * B + row));
    if (!scratch.there()) return 1;
    const Seen seen(scratch, shape);
    Workshop at;
    at.kept = scratch.take<Vector>(of_lot);
    at.work = scratch.take<Vector>(shape.scratch_vectors());
    at.x = scratch.take<Vector>(shape.places * shape.wide);
    at.tokens = scratch.take<int32_t>(shape.places * LANES);
    at.prompts = scratch.take<int64_t>(B * L);
    at.responses = scratch.take<int64_t>(B * said);
    at.values = scratch.take<float>(B * said);
    at.cotangents = scratch.take<float>(B * said);
    at.reference = scratch.take<float>(B * 2);
    at.gradient = scratch.take<float>(row);
    for (int64_t run = 0; run < runs; ++run)
        for (int64_t step = 0; step < on->steps; ++step) {
            for (int64_t b = 0; b < B; ++b) {
                const int64_t pair = run * N + (on->order ? on->order[(step * runs + run) * B + b] : b);
                for (int64_t p = 0; p < L; ++p) at.prompts[b * L + p] = on->prompts[pair * L + p];
                for (int64_t t = 0; t < said; ++t) at.responses[b * said + t] = on->responses[pair * said + t];
                for (int64_t k = 0; k < 2; ++k) at.reference[b * 2 + k] = on->reference[pair * 2 + k];
            }
            fill(at.gradient, row, 0.0f);
            const double loss = gradient_of_loss(shape, seen, at, parameters + run * row, B, on->beta[run], on->loss[run]);
            if (diverged[run] < 0 && !__builtin_isfinite(loss)) diverged[run] = on->begun + step + 1;
            const float rate = on->rate[run] * on->factor[step];
            adam(1, row, parameters + run * row, at.gradient, first + run * row, second + run * row, &rate, on->limit + run,
                 on->begun + step + 1, (float)on->weight_decay);
        }
    return 0;
}

}  // namespace INSTRUCTIONS
