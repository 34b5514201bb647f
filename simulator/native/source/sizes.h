// Records that are shared with Python, field by field.
//
// Shapes: R runs, N pairs of each, B pairs of a step, L prompt length, T response length.
#pragma once

#include <stdint.h>

// What a pass needs to know of a network and of the sequences that go through it.
typedef struct {
    int64_t vocabulary, context, layers, width, heads;
    int64_t outputs;    // numbers that are read at a place; the vocabulary for a policy
    int64_t prompt;     // L
    int64_t responses;  // K, packed behind one prompt
    int64_t length;     // T, tokens of a response
    int64_t whole;      // 0: a policy, which predicts each token; 1: a reward model, one score read at the last token
} Sizes;

// What a stack of R runs trains on, N pairs of each, B at a step.
typedef struct {
    int64_t pairs, batch, steps;
    const int64_t *prompts, *responses;  // [R, N, L], [R, N, 2, T]
    const float *reference;              // log pi_ref [R, N, 2]
    const int64_t *order;                // pairs of each step, [steps, R, B]; or none, where B is N
    const float *beta, *rate, *limit;    // [R]
    const int64_t *loss;                 // [R]
    const float *factor;                 // of the rate at each step, [steps]
    int64_t begun;                       // steps before the first
    double weight_decay;
} Training;
