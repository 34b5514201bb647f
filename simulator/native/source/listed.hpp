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

// What is done with a response in a run's pairs; see simulator/measurement/ledger.py. The first two are in no pair.
constexpr int PARTS = 5;

// Of the responses in each part: the mass of pi and of pi_ref, gold under each, and E_ref s there.
struct Ledger {
    Double sums[5][PARTS]{};

    // Add HALF responses, of which `count` are there; `parts` has a byte for each.
    INLINE void add(const uint8_t *parts, int64_t count, Double pi, Double reference, Double gold, Double weighted) {
        uint8_t there[HALF] = {};
        __builtin_memcpy(there, parts, count < HALF ? count : HALF);
        bool paired = false;
        Long kind;
        for (int i = 0; i < HALF; ++i) kind[i] = there[i], paired |= there[i] > 1;
        for (int k = 0; k < (paired ? PARTS : 2); ++k) {
            const Long here = kind == k;
            sums[0][k] += here ? pi : Double{};
            sums[1][k] += here ? reference : Double{};
            sums[2][k] += here ? pi * gold : Double{};
            sums[3][k] += here ? reference * gold : Double{};
            sums[4][k] += here ? weighted : Double{};
        }
    }

    void write(double *to) const {
        for (int of = 0; of < 5; ++of)
            for (int k = 0; k < PARTS; ++k) to[of * PARTS + k] = sum(sums[of][k]);
    }
};

// For log pi [R, P, G], log pi_ref and pi_ref [P, G], mu [P, G] or none, and tables [K, P, G] of which gold is the first,
// with s = log pi - log pi_ref: the mass of pi, E_pi s, E_pi log pi, E_ref s, Var_ref s, E_mu s, Var_mu s, chi², the total
// variation, E_pi s², what s > 0 gives of Var_mu s, and E_pi of each table; then the ledger where there are parts [R, P, G].
// To: [R, P, 11 + K + 25].
void moments(int64_t runs, int64_t prompts, int64_t responses, const double *log_probs, const double *log_reference,
             const double *reference, const double *behaviour, int64_t tables, const double *table, const uint8_t *parts,
             double *to) {
    const int64_t own = 11, width = own + tables + (parts ? 5 * PARTS : 0);
    for (int64_t row = 0; row < runs * prompts; ++row) {
        const int64_t at = row % prompts * responses;
        const double *log_pi = log_probs + row * responses;
        double *out = to + row * width;
        Double mass{}, kl{}, spread{}, of_reference{}, of_behaviour{}, chi2{}, variation{}, square{};
        Ledger ledger;
        for (int64_t k = 0; k < tables; ++k) out[own + k] = 0;
        for (int64_t g = 0; g < responses; g += HALF) {
            const int64_t left = responses - g;
            const Double lp = take_some(log_pi + g, left, -1e30), lr = take_some(log_reference + at + g, left, -1e30);
            const Double pi = left >= HALF ? exponential(lp) : lp < all_double(-1e29) ? Double{} : exponential(lp);  // NaN is no filling
            const Double s = lp - lr, pi_s = pi * s, ref = take_some(reference + at + g, left, 0), by_reference = ref * s;
            const Double gap = pi - ref;
            mass += pi;
            kl += pi_s;
            spread += pi * (left >= HALF ? lp : lp < all_double(-1e29) ? Double{} : lp);
            of_reference += by_reference;
            chi2 += gap * (gap / take_some(reference + at + g, left, 1));
            variation += gap < Double{} ? -gap : gap;
            square += pi_s * s;
            if (behaviour) of_behaviour += take_some(behaviour + at + g, left, 0) * s;
            for (int64_t k = 0; k < tables; ++k)
                out[own + k] += sum(pi * take_some(table + k * prompts * responses + at + g, left, 0));
            if (parts) ledger.add(parts + row * responses + g, left, pi, ref, take_some(table + at + g, left, 0), by_reference);
        }
        out[0] = sum(mass), out[1] = sum(kl), out[2] = sum(spread), out[3] = sum(of_reference), out[5] = sum(of_behaviour);
        out[7] = sum(chi2), out[8] = sum(variation) / 2, out[9] = sum(square);
        if (parts) ledger.write(out + own + tables);
        const Double centre = all_double(out[3]), other_centre = all_double(out[5]);
        Double variance{}, other_variance{}, raised{};
        for (int64_t g = 0; g < responses; g += HALF) {
            const int64_t left = responses - g;
            const Double s = take_some(log_pi + g, left, 0) - take_some(log_reference + at + g, left, 0);
            variance += take_some(reference + at + g, left, 0) * (s - centre) * (s - centre);
            if (!behaviour) continue;
            const Double square_here = take_some(behaviour + at + g, left, 0) * (s - other_centre) * (s - other_centre);
            other_variance += square_here;
            raised += s > Double{} ? square_here : Double{};
        }
        out[4] = sum(variance), out[6] = sum(other_variance), out[10] = sum(raised);
    }
}

}  // namespace INSTRUCTIONS
