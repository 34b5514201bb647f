// Sums over all responses of a small world, in float64.
//
// Shapes: R policies, P prompts, G responses to each, K tables.
#pragma once

#include "vectors.hpp"

namespace INSTRUCTIONS {

INLINE Double take(const double *from) {
    Double x;
    __builtin_memcpy(&x, from, sizeof x);
    return x;
}

INLINE double sum(Double x) {
    double total = 0;
    for (int i = 0; i < HALF; ++i) total += x[i];
    return total;
}

// HALF numbers from `from` on, of which the last `count` of the row may be fewer: the rest is `other`.
INLINE Double take_some(const double *from, int64_t count, double other) {
    if (count >= HALF) return take(from);
    Double x = all_double(other);
    for (int64_t i = 0; i < count; ++i) x[i] = from[i];
    return x;
}

// For log pi [R, P, G], log pi_ref and pi_ref [P, G], mu [P, G] or none, and tables [K, P, G], with s = log pi - log pi_ref:
// the mass of pi, E_pi s, E_pi log pi, E_ref s, Var_ref s, E_mu s, Var_mu s, and E_pi of each table, [R, P, 7 + K].
void moments(int64_t runs, int64_t prompts, int64_t responses, const double *log_probs, const double *log_reference,
             const double *reference, const double *behaviour, int64_t tables, const double *table, double *to) {
    const int64_t own = 7;
    for (int64_t row = 0; row < runs * prompts; ++row) {
        const int64_t at = row % prompts * responses;
        const double *log_pi = log_probs + row * responses;
        double *out = to + row * (own + tables);
        Double mass{}, kl{}, spread{}, of_reference{}, of_behaviour{};
        for (int64_t k = 0; k < tables; ++k) out[own + k] = 0;
        for (int64_t g = 0; g < responses; g += HALF) {
            const int64_t left = responses - g;
            const Double lp = take_some(log_pi + g, left, -1e30), lr = take_some(log_reference + at + g, left, -1e30);
            const Double pi = left >= HALF ? exponential(lp) : lp < all_double(-1e29) ? Double{} : exponential(lp);  // NaN is no filling
            const Double s = lp - lr;
            mass += pi;
            kl += pi * s;
            spread += pi * (left >= HALF ? lp : lp < all_double(-1e29) ? Double{} : lp);
            of_reference += take_some(reference + at + g, left, 0) * s;
            if (behaviour) of_behaviour += take_some(behaviour + at + g, left, 0) * s;
            for (int64_t k = 0; k < tables; ++k)
                out[own + k] += sum(pi * take_some(table + k * prompts * responses + at + g, left, 0));
        }
        out[0] = sum(mass), out[1] = sum(kl), out[2] = sum(spread), out[3] = sum(of_reference), out[5] = sum(of_behaviour);
        const Double centre = all_double(out[3]), other_centre = all_double(out[5]);
        Double variance{}, other_variance{};
        for (int64_t g = 0; g < responses; g += HALF) {
            const int64_t left = responses - g;
            const Double s = take_some(log_pi + g, left, 0) - take_some(log_reference + at + g, left, 0);
            variance += take_some(reference + at + g, left, 0) * (s - centre) * (s - centre);
            if (behaviour) other_variance += take_some(behaviour + at + g, left, 0) * (s - other_centre) * (s - other_centre);
        }
        out[4] = sum(variance), out[6] = sum(other_variance);
    }
}

}  // namespace INSTRUCTIONS
