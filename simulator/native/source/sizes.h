// What a pass needs to know of a network and of the sequences that go through it. Shared with Python, field by field.
#pragma once

#include <stdint.h>

typedef struct {
    int64_t vocabulary, context, layers, width, heads;
    int64_t outputs;    // numbers that are read at a place; the vocabulary for a policy
    int64_t prompt;     // L
    int64_t responses;  // K, packed behind one prompt
    int64_t length;     // T, tokens of a response
    int64_t whole;      // 0: each response less its last token, all of it read; 1: whole, its last place read
} Sizes;
