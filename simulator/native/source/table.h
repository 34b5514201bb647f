// What every instruction set offers. Arrays are as simulator/native/library.py says; what comes back is 0, or NO_MEMORY.
#pragma once

#include <stdint.h>

#include "sizes.h"

enum { FINE = 0, NO_MEMORY = 1, BAD_SIZES = 2, BAD_TOKEN = 3, BAD_ORDER = 4 };

typedef struct {
    const char *name;
    int64_t lanes;
    int64_t (*kept_floats)(const Sizes *, int64_t prompts);
    int (*forward)(const Sizes *, int64_t runs, int64_t prompts, const float *parameters, int64_t row, const int64_t *asked,
                   const int64_t *said, float *values, float *states, float *kept);
    int (*backward)(const Sizes *, int64_t runs, int64_t prompts, const float *parameters, int64_t row, const int64_t *asked,
                    const int64_t *said, const float *cotangents, const float *at_states, float *kept, float *gradients);
    void (*adam)(int64_t runs, int64_t row, float *parameters, const float *gradients, float *first, float *second,
                 const float *rate, const float *limit, int64_t step, float weight_decay);
    int (*sample)(const Sizes *, int64_t runs, int64_t prompts, const float *parameters, int64_t row, const int64_t *asked,
                  int64_t asked_of_run, const float *noise, int64_t of_token, int64_t of_run, const float *temperature,
                  int64_t end, int64_t *drawn, const float *reference, double *kl, double *entropy, double *ratio);
    int (*tree)(const Sizes *, int64_t runs, int64_t prompts, const float *parameters, int64_t row, const int64_t *asked,
                int leaves, double *to);
    int (*train)(const Sizes *, int64_t runs, float *parameters, int64_t row, float *first, float *second, const Training *on,
                 int64_t *diverged);
    int (*judge)(const Sizes *, int64_t texts, const float *weights, const int64_t *text, float *scores);
    void (*placements)(int64_t rows, int64_t m, const double *a, int64_t b, const double *others, int64_t of_row, double *of_a,
                       double *of_b);
    void (*moments)(int64_t runs, int64_t prompts, int64_t responses, const double *log_probs, const double *log_reference,
                    const double *reference, const double *behaviour, int64_t tables, const double *table,
                    const uint8_t *parts, double *to);
} Kernels;
