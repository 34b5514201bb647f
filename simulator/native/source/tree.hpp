// Every response of a small world: next-token laws at the inner nodes of its prefix tree, or scores of its leaves.
//
// Shapes: R runs, P prompts, L prompt length, T response length, V vocabulary, M = 1 + V + … + V^(T-1) inner nodes.
//
// A lane is a prompt with a first token, and all lanes walk the tree below it together: what they say next is the same.
// The children of a node go through the network side by side, and then, one after another, each child's own.
#pragma once

#include "sampling.hpp"

namespace INSTRUCTIONS {

struct Tree {
    const Shape &shape;
    Walker walker;
    Seen seen;
    int32_t *tokens;        // of one place, [LANES]
    int64_t depths;         // the deepest nodes that are wanted
    bool leaves;            // whether they alone are, with the first output as a score
    const int64_t *prompt;  // of each lane
    const int64_t *first;   // its first token
    int64_t valid;          // lanes that are meant
    int64_t nodes;          // of one prompt, those wanted
    double *to;             // [P, nodes, V], or [P, nodes] of scores
    uint8_t *projected;     // whether the first layer's queries, keys and values at a depth are there, [depths + 1]

    int64_t slot(int64_t depth, int64_t child) const { return shape.sizes.prompt + (depth < 2 ? 0 : 1 + (depth - 2) * shape.sizes.vocabulary + child); }

    // Write the outputs of row `row`, of the node with this number among those wanted: that of the lane is `number` plus its
    // first token times `apart`.
    void write(int64_t row, int64_t number, int64_t apart) const {
        const Vector *outputs = walker.kept.laws() + row * shape.law;
        const int64_t V = shape.sizes.vocabulary;
        if (leaves) {
            for (int64_t i = 0; i < valid; ++i) to[prompt[i] * nodes + number + first[i] * apart] = ((const float *)outputs)[i];
            return;
        }
        for (int part = 0; part < 2; ++part) {
            const Double z = normalizer(outputs, V, part);
            for (int64_t v = 0; v < V; ++v) {
                const Double law = half(outputs + v, part) - z;
                for (int i = 0; i < HALF && part * HALF + i < valid; ++i) {
                    const int64_t lane = part * HALF + i;
                    to[(prompt[lane] * nodes + number + first[lane] * apart) * V + v] = law[i];
                }
            }
        }
    }

    // The children of a node of depth `depth` - 1: V places, or for depth 1 the place of the lanes' own first tokens.
    // begin: the number of the first node of this depth among those wanted; within: that of the parent below the first
    // token; below: how many nodes of this depth lie below a first token.
    void grow(int64_t depth, int64_t begin, int64_t within, int64_t below) const {
        const int64_t V = shape.sizes.vocabulary, L = shape.sizes.prompt, context = shape.sizes.context;
        const int64_t children = depth == 1 ? 1 : V;
        const Rows rows{slot(depth, 0), 1, children};
        const Rows read{rows.first, 1, leaves && depth < depths ? 0 : children};
        for (int64_t j = 0; j < children; ++j) {
            const int64_t place = slot(depth, j);
            for (int i = 0; i < LANES; ++i) tokens[i] = (int32_t)(depth == 1 ? first[i] : j);
            embed(walker.x + place * shape.wide, walker.w, tokens, L + depth - 1);
            if (j) __builtin_memcpy(seen.places + place * context, seen.places + slot(depth, 0) * context, 4 * context);
            seen.places[place * context + L + depth - 1] = (int32_t)place;
            seen.count[place] = L + depth;
        }
        // What enters the first layer at depth 2 and below is a token and a place, whatever came before.
        through_layers(walker.w, walker.kept, walker.x, rows, read, seen, depth >= 2 && projected[depth] != 0);
        projected[depth] = 1;
        for (int64_t j = 0; j < read.count; ++j) write(j, begin + within * children + j, below);
        if (depth == depths) return;
        for (int64_t j = 0; j < children; ++j) {
            for (int64_t p = 0; p < L + depth - 1; ++p)
                seen.places[slot(depth + 1, 0) * context + p] = seen.places[slot(depth, 0) * context + p];
            seen.places[slot(depth + 1, 0) * context + L + depth - 1] = (int32_t)slot(depth, j);
            grow(depth + 1, leaves ? 0 : begin + below * V, within * children + j, below * V);
        }
    }
};

// sizes: of the network and the prompt, with one response of `length` tokens. leaves: score whole responses.
int tree(const Sizes *sizes, int64_t runs, int64_t prompts, const float *parameters, int64_t row, const int64_t *asked, int leaves, double *to) {
    const Sizes &s = *sizes;
    const int64_t V = s.vocabulary, L = s.prompt, depths = leaves ? s.length : s.length - 1;
    const Shape shape(s, L + 1 + (depths > 1 ? (depths - 1) * V : 0), V > 1 ? V : 1);
    int64_t nodes = 1, deepest = 1;
    for (int64_t depth = 1; depth <= depths; ++depth) nodes += deepest *= V;
    if (leaves) nodes = deepest;
    Scratch scratch(sizeof(Vector) * (shape.places * shape.wide + Kept::vectors(shape, false)) + 4 * LANES * (L + 1) +
                    seen_bytes(shape.places, s.context) + 16 * LANES + depths + 1);
    if (!scratch.there()) return 1;
    Seen seen(scratch, shape.places, s.context);
    int32_t *tokens = scratch.take<int32_t>((L + 1) * LANES);
    int64_t *prompt = scratch.take<int64_t>(LANES), *first = scratch.take<int64_t>(LANES);
    Vector *x = scratch.take<Vector>(shape.places * shape.wide), *memory = scratch.take<Vector>(Kept::vectors(shape, false));
    uint8_t *projected = scratch.take<uint8_t>(depths + 1);
    for (int64_t place = 0; place <= L; ++place) {
        seen.count[place] = place + 1;
        for (int64_t j = 0; j <= place && j < s.context; ++j) seen.places[place * s.context + j] = (int32_t)j;
    }
    for (int64_t run = 0; run < runs; ++run) {
        const Walker walker{Weights<const float>(parameters + run * row, s), Kept{shape, memory, false}, x};
        fill<uint8_t>(projected, depths + 1, 0);
        double *own = to + run * prompts * nodes * (leaves ? 1 : V);
        for (int64_t n = 0; n < prompts * V; n += LANES) {
            for (int i = 0; i < LANES; ++i) {
                const int64_t lane = smaller_of(n + i, prompts * V - 1);
                prompt[i] = lane / V, first[i] = lane % V;
                for (int64_t p = 0; p < L; ++p) tokens[(p + 1) * LANES + i] = (int32_t)asked[prompt[i] * L + p];
            }
            const Tree of{shape, walker, seen, tokens, depths, leaves != 0, prompt, first, smaller_of<int64_t>(LANES, prompts * V - n), nodes, own, projected};
            walker.ask(tokens + LANES, seen);
            if (!leaves) of.write(0, 0, 0);
            if (depths) of.grow(1, leaves ? 0 : 1, 0, 1);
        }
    }
    return 0;
}

}  // namespace INSTRUCTIONS
