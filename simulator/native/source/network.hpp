// The network, forward and backward, for LANES prompts at once with their packed responses.
//
// Shapes: L tokens of a prompt, K responses of T tokens behind it, S = L + K i places, i tokens of each response, Q of
// the places read, d width, H heads of e channels, V vocabulary.
//
// Each lane of a vector is a prompt of its own, so that a norm, a softmax and an attention are loops over whole vectors,
// with nothing to mask; only the gradient of weights adds up over lanes. A place knows its position p; it sees the places
// of the prompt up to position p and those of its own response, so the weights of an attention are a row of p + 1.
#pragma once

#include "memory.hpp"
#include "products.hpp"
#include "sizes.h"

namespace INSTRUCTIONS {

constexpr float EPSILON = 1e-5f;

INLINE int64_t odd(int64_t n) { return n | 1; }  // strides that are no power of two spread over a cache

// Some of the S places: `count` from `first` on, `step` apart.
struct Rows {
    int64_t first, step, count;

    INLINE int64_t place(int64_t i) const { return first + i * step; }
    // How many of them lie before this place.
    INLINE int64_t before(int64_t place) const {
        int64_t n = place <= first ? 0 : (place - first + step - 1) / step;
        return smaller_of(n, count);
    }
};

struct Shape {
    Sizes sizes;
    int64_t width, channels, inner;
    int64_t places, read;  // how many there is room for
    int64_t wide, wide3, wide4, law;  // strides of d, 3 d, 4 d and the outputs

    Shape(const Sizes &s, int64_t places, int64_t read)
        : sizes(s), width(s.width), channels(s.width / s.heads), inner(s.whole ? s.length : s.length - 1), places(places),
          read(read), wide(odd(width)), wide3(odd(3 * width)), wide4(odd(4 * width)), law(odd(s.outputs)) {}

    explicit Shape(const Sizes &s) : Shape(s, 0, 0) {
        places = s.prompt + s.responses * inner;
        read = last_read().count;
    }
    Rows everything() const { return {0, 1, places}; }
    Rows last_read() const {
        if (sizes.whole) return {sizes.prompt + sizes.length - 1, sizes.length, sizes.responses};
        return {sizes.prompt - 1, 1, places - sizes.prompt + 1};
    }
    INLINE int64_t response_of(int64_t place) const { return place < sizes.prompt ? -1 : (place - sizes.prompt) / inner; }
    INLINE int64_t begin(int64_t response) const { return sizes.prompt + response * inner; }
    INLINE int64_t position(int64_t place) const {
        return place < sizes.prompt ? place : sizes.prompt + (place - sizes.prompt) % inner;
    }
    // Among the places read, the one that says token t of a response.
    INLINE int64_t source(int64_t response, int64_t t) const { return t == 0 ? 0 : 1 + response * inner + t - 1; }

    int64_t scratch_vectors() const { return places * (2 * wide + wide3 + wide4 + 2 * sizes.context); }
};

// Which places each place sees, itself included: `places` [places, context], of which `count` [places] are meant.
struct Seen {
    int32_t *places;
    int64_t *count;

    Seen(Scratch &scratch, int64_t of, int64_t context)
        : places(scratch.take<int32_t>(of * context)), count(scratch.take<int64_t>(of)) {}

    // The places of the prompt up to its own position, and those of its own response.
    Seen(Scratch &scratch, const Shape &shape) : Seen(scratch, shape.places, shape.sizes.context) {
        for (int64_t place = 0; place < shape.places; ++place) {
            const int64_t own = shape.response_of(place);
            count[place] = shape.position(place) + 1;
            for (int64_t j = 0; j < count[place]; ++j)
                places[place * shape.sizes.context + j] =
                    (int32_t)(j < shape.sizes.prompt ? j : shape.begin(own) + j - shape.sizes.prompt);
        }
    }
};

// Weights, or their gradient, where a row of parameters has them.
template <class Number>
struct Weights {
    Number *token, *position, *unembed;
    Number *layers;
    int64_t width, each;

    Weights(Number *row, const Sizes &s) : width(s.width), each(12 * s.width * s.width) {
        token = row;
        position = token + s.vocabulary * width;
        layers = position + s.context * width;
        unembed = layers + s.layers * each;
    }
    Number *attend(int64_t layer) const { return layers + layer * each; }
    Number *merge(int64_t layer) const { return attend(layer) + 3 * width * width; }
    Number *up(int64_t layer) const { return merge(layer) + width * width; }
    Number *down(int64_t layer) const { return up(layer) + 4 * width * width; }
};

// What a layer keeps for its gradient; `rows` are the places that go on behind its attention. `kept` is whether there is
// room for all of it: otherwise all but `projected` is of a few rows that are at work, and the same for all layers.
struct Layer {
    Vector *projected;                                       // by place
    Vector *normed, *scale;                                  // by place
    Vector *weights, *found, *after, *after_scale, *hidden;  // by row
    bool kept;

    INLINE int64_t at(int64_t i, int64_t begin) const { return kept ? i : i - begin; }
};

constexpr int64_t BLOCK = 2 * COLUMNS;  // rows that are at work together

struct Kept {
    const Shape &shape;
    Vector *memory;
    bool all;

    int64_t vectors() const { return vectors(shape, all); }
    static int64_t vectors(const Shape &shape, bool all) {
        int64_t total = shape.read * (shape.wide + 1 + shape.law);
        if (!all) return total + shape.sizes.layers * shape.places * shape.wide3 + work(shape);
        for (int64_t layer = 0; layer < shape.sizes.layers; ++layer) total += of_layer(shape, layer == shape.sizes.layers - 1);
        return total;
    }
    static int64_t of_layer(const Shape &shape, bool last) {
        const int64_t rows = last ? shape.read : shape.places;
        return shape.places * (shape.wide + 1 + shape.wide3) + rows * (shape.sizes.heads * shape.sizes.context + 2 * shape.wide + 1 + shape.wide4);
    }
    static int64_t work(const Shape &shape) {
        return BLOCK * (3 * shape.wide + 2 + shape.sizes.heads * shape.sizes.context + shape.wide4);
    }

    Layer layer(int64_t number) const {
        const bool last = number == shape.sizes.layers - 1;
        const int64_t places = all ? shape.places : BLOCK, rows = all ? (last ? shape.read : shape.places) : BLOCK;
        Vector *at = states_end() + (all ? number * of_layer(shape, false) : 0);
        auto next = [&](int64_t count) {
            Vector *here = at;
            at += count;
            return here;
        };
        Layer found;
        found.kept = all;
        found.normed = next(places * shape.wide);
        found.scale = next(places);
        found.weights = next(rows * shape.sizes.heads * shape.sizes.context);
        found.found = next(rows * shape.wide);
        found.after = next(rows * shape.wide);
        found.after_scale = next(rows);
        found.hidden = next(rows * shape.wide4);
        found.projected = at + (all ? 0 : number * shape.places * shape.wide3);
        return found;
    }
    Vector *states() const { return memory; }
    Vector *states_scale() const { return states() + shape.read * shape.wide; }
    Vector *laws() const { return states_scale() + shape.read; }
    Vector *states_end() const { return laws() + shape.read * shape.law; }
};

INLINE Vector norm(Vector *to, const Vector *x, int64_t width) {
    Vector mean{}, square{};
    for (int64_t k = 0; k < width; ++k) mean += x[k];
    mean = mean * all(1.0f / (float)width);
    for (int64_t k = 0; k < width; ++k) {
        Vector d = x[k] - mean;
        square += d * d;
    }
    Vector scale = all(1.0f) / square_root(square * all(1.0f / (float)width) + all(EPSILON));
    scale = scale == all(0.0f) ? all(__builtin_nanf("")) : scale;  // squares beyond all numbers
    for (int64_t k = 0; k < width; ++k) to[k] = (x[k] - mean) * scale;
    return scale;
}

// Adds to `to` the gradient at x, from that at y, where y and scale are the norm of x; or writes it.
template <bool ADD>
INLINE void through_norm(Vector *to, const Vector *gradient, const Vector *y, Vector scale, int64_t width) {
    Vector mean{}, along{};
    for (int64_t k = 0; k < width; ++k) {
        mean += gradient[k];
        along += gradient[k] * y[k];
    }
    mean = mean * all(1.0f / (float)width);
    along = along * all(1.0f / (float)width);
    for (int64_t k = 0; k < width; ++k) {
        Vector d = (gradient[k] - mean - y[k] * along) * scale;
        to[k] = ADD ? to[k] + d : d;
    }
}

// Embeddings of the tokens [LANES] at a position.
inline void embed(Vector *to, const Weights<const float> &w, const int32_t *tokens, int64_t position) {
    for (int64_t k = 0; k < w.width; k += LANES) {
        Vector block[LANES], place = load(w.position + position * w.width + k);
        for (int i = 0; i < LANES; ++i) block[i] = load(w.token + tokens[i] * w.width + k) + place;
        transpose(block);
        for (int i = 0; i < LANES; ++i) to[k + i] = block[i];
    }
}

inline void through_embedding(const Weights<float> &g, const Vector *gradient, const int32_t *tokens, int64_t position) {
    for (int64_t k = 0; k < g.width; k += LANES) {
        Vector block[LANES], together{};
        for (int i = 0; i < LANES; ++i) block[i] = gradient[k + i];
        transpose(block);
        for (int i = 0; i < LANES; ++i) {
            float *row = g.token + tokens[i] * g.width + k;
            store(row, load(row) + block[i]);
            together += block[i];
        }
        float *place = g.position + position * g.width + k;
        store(place, load(place) + together);
    }
}

// What the rows from `begin` to `end` of `rows` attend to, where `projected` has queries, keys and values. A place sees
// `seen[place]`: as many places as its position and one more.
inline void attention(const Shape &shape, const Layer &at, Rows rows, int64_t begin, int64_t end, const Seen &seen) {
    const int64_t e = shape.channels, context = shape.sizes.context;
    const Vector scale = all(1.0f / __builtin_sqrtf((float)e));
    for (int64_t h = 0; h < shape.sizes.heads; ++h) {
        const Vector *query = at.projected + h * e, *key = query + shape.width, *value = key + shape.width;
        for (int64_t i = begin; i < end; ++i) {
            const int64_t place = rows.place(i), count = seen.count[place], here = at.at(i, begin);
            const int32_t *others = seen.places + place * context;
            Vector *weights = at.weights + (h * (at.kept ? rows.count : BLOCK) + here) * context;
            dots(weights, query + place * shape.wide3, key, shape.wide3, others, count, e);
            Vector most = weights[0], total{};
            for (int64_t j = 1; j < count; ++j) most = larger(weights[j], most);
            for (int64_t j = 0; j < count; ++j) {
                weights[j] = exponential((weights[j] - most) * scale);
                total += weights[j];
            }
            total = all(1.0f) / total;
            for (int64_t j = 0; j < count; ++j) weights[j] *= total;
            mix(at.found + here * shape.wide + h * e, weights, value, shape.wide3, others, count, e);
        }
    }
}

// The gradient at `projected` of all places, from that at what was found; `slopes` is scratch as large as the weights.
inline void through_attention(
    const Shape &shape, const Layer &at, Rows rows, const Seen &seen, const Vector *gradient, Vector *projected, Vector *slopes) {
    const int64_t e = shape.channels, context = shape.sizes.context;
    const Vector scale = all(1.0f / __builtin_sqrtf((float)e));
    for (int64_t h = 0; h < shape.sizes.heads; ++h) {
        const Vector *query = at.projected + h * e, *key = query + shape.width, *value = key + shape.width;
        const Vector *weights = at.weights + h * rows.count * context;
        Vector *to_query = projected + h * e, *to_key = to_query + shape.width, *to_value = to_key + shape.width;
        for (int64_t i = 0; i < rows.count; ++i) {
            const int64_t place = rows.place(i), count = seen.count[place];
            const int32_t *others = seen.places + place * context;
            const Vector *weight = weights + i * context, *back = gradient + i * shape.wide + h * e;
            Vector *slope = slopes + i * context, along{};
            dots(slope, back, value, shape.wide3, others, count, e);
            for (int64_t j = 0; j < count; ++j) along += slope[j] * weight[j];
            for (int64_t j = 0; j < count; ++j) slope[j] = weight[j] * (slope[j] - along) * scale;
            mix(to_query + place * shape.wide3, slope, key, shape.wide3, others, count, e);
        }
        for (int64_t place = 0; place < shape.places; ++place) {
            int64_t position = shape.position(place), own = shape.response_of(place);
            int64_t first = rows.before(place), end = own < 0 ? rows.count : rows.before(shape.begin(own + 1));
            int64_t count = end > first ? end - first : 0;
            const Vector *queries = query + rows.place(first) * shape.wide3;
            gather(to_key + place * shape.wide3, slopes + first * context + position, context, queries,
                   shape.wide3 * rows.step, count, e);
            gather(to_value + place * shape.wide3, weights + first * context + position, context,
                   gradient + first * shape.wide + h * e, shape.wide, count, e);
        }
    }
}

// Queries, keys and values of the places `rows`, a block after another; queries of those alone that are in `on`.
inline void project(const Weights<const float> &w, const Shape &shape, int64_t number, const Layer &at, const Vector *x, Rows rows, Rows on) {
    const int64_t d = shape.width;
    const ptrdiff_t wide = shape.wide, wide3 = shape.wide3;
    for (int64_t begin = 0; begin < rows.count; begin += BLOCK) {
        const int64_t end = smaller_of(begin + BLOCK, rows.count), first = rows.place(begin);
        // where the norm of place p of this block lies
        Vector *normed = at.kept ? at.normed + first * wide : at.normed, *scale = at.kept ? at.scale + first : at.scale;
        const int64_t apart = at.kept ? rows.step : 1;
        for (int64_t i = begin; i < end; ++i)
            scale[(i - begin) * apart] = norm(normed + (i - begin) * apart * wide, x + rows.place(i) * wide, d);
        const Places others{at.projected + first * wide3 + d, rows.step * wide3, end - begin};
        product<false>(w.attend(number) + d, 3 * d, d, 2 * d, Places{normed, apart * wide, end - begin},
                       [&](int64_t n, int64_t p, Vector v) { others.at(p)[n] = v; });
        const int64_t from = on.before(first), to = on.before(rows.place(end - 1) + 1);
        if (to <= from) continue;
        const Places queries{at.projected + on.place(from) * wide3, on.step * wide3, to - from};
        product<false>(w.attend(number), 3 * d, d, d,
                       Places{normed + (on.place(from) - first) / rows.step * apart * wide, on.step / rows.step * apart * wide, to - from},
                       [&](int64_t n, int64_t p, Vector v) { queries.at(p)[n] = v; });
    }
}

// Takes the stream x through the layers at the places `rows`, whose keys and values are found here; those of the places
// that they see must be there. `read`: the rows that go on behind the last layer's attention. The stream of those is
// normed into `states`. first_projected: whether queries, keys and values of the first layer are there already.
inline void through_layers(const Weights<const float> &w, const Kept &kept, Vector *x, Rows rows, Rows read, const Seen &seen,
                           bool first_projected = false) {
    const Shape &shape = kept.shape;
    const int64_t d = shape.width;
    const ptrdiff_t wide = shape.wide, wide4 = shape.wide4;
    for (int64_t number = 0; number < shape.sizes.layers; ++number) {
        const Layer at = kept.layer(number);
        const Rows on = number == shape.sizes.layers - 1 ? read : rows;
        if (number || !first_projected) project(w, shape, number, at, x, rows, on);
        for (int64_t begin = 0; begin < on.count; begin += BLOCK) {
            const int64_t end = smaller_of(begin + BLOCK, on.count), count = end - begin, here = at.at(begin, begin);
            const Places stream{x + on.place(begin) * wide, on.step * wide, count}, found{at.found + here * wide, wide, count};
            const Places after{at.after + here * wide, wide, count}, hidden{at.hidden + here * wide4, wide4, count};
            attention(shape, at, on, begin, end, seen);
            product<false>(w.merge(number), d, d, d, found, [&](int64_t n, int64_t p, Vector v) { stream.at(p)[n] += v; });
            for (int64_t i = 0; i < count; ++i) at.after_scale[here + i] = norm(after.at(i), stream.at(i), d);
            product<false>(w.up(number), 4 * d, d, 4 * d, after,
                           [&](int64_t n, int64_t p, Vector v) { hidden.at(p)[n] = v < all(0.0f) ? all(0.0f) : v; });
            product<false>(w.down(number), d, 4 * d, d, hidden, [&](int64_t n, int64_t p, Vector v) { stream.at(p)[n] += v; });
        }
    }
    for (int64_t i = 0; i < read.count; ++i)
        kept.states_scale()[i] = norm(kept.states() + i * wide, x + read.place(i) * wide, d);
    product<false>(w.unembed, shape.sizes.outputs, d, shape.sizes.outputs, Places{kept.states(), wide, read.count},
                   [&](int64_t n, int64_t p, Vector v) { kept.laws()[p * shape.law + n] = v; });
}

// The gradient of all weights, added to `to`, from that at the outputs, which lies where the laws were, and at the
// normed states if there is one.
inline void through_network_backwards(
    const Weights<const float> &w, const Weights<float> &to, const Kept &kept, const int32_t *tokens, const Seen &seen,
    Vector *scratch, const Vector *at_states) {
    const Shape &shape = kept.shape;
    const int64_t d = shape.width, outputs = shape.sizes.outputs, S = shape.places;
    const ptrdiff_t wide = shape.wide, wide3 = shape.wide3, wide4 = shape.wide4;
    Vector *stream = scratch, *back = stream + S * wide, *projected = back + S * wide, *hidden = projected + S * wide3,
           *slopes = hidden + S * wide4;
    Rows read = shape.last_read();
    const Places law{kept.laws(), shape.law, read.count}, states{kept.states(), wide, read.count};
    gradient(to.unembed, outputs, states, d, law, outputs);
    product<true>(w.unembed, outputs, outputs, d, law, [&](int64_t n, int64_t p, Vector v) { back[p * wide + n] = v; });
    if (at_states)
        for (int64_t i = 0; i < read.count; ++i)
            for (int64_t k = 0; k < d; ++k) back[i * wide + k] += at_states[i * d + k];
    for (int64_t i = 0; i < read.count; ++i)
        through_norm<false>(stream + i * wide, back + i * wide, states.at(i), kept.states_scale()[i], d);
    for (int64_t number = shape.sizes.layers - 1; number >= 0; --number) {
        const Layer at = kept.layer(number);
        const Rows on = number == shape.sizes.layers - 1 ? read : shape.everything();
        const Places out{stream, wide, on.count}, four{hidden, wide4, on.count}, after{at.after, wide, on.count};
        product<true>(w.down(number), d, d, 4 * d, out, [&](int64_t n, int64_t p, Vector v) {
            hidden[p * wide4 + n] = at.hidden[p * wide4 + n] > all(0.0f) ? v : all(0.0f);
        });
        gradient(to.down(number), d, Places{at.hidden, wide4, on.count}, 4 * d, out, d);
        gradient(to.up(number), 4 * d, after, d, four, 4 * d);
        product<true>(w.up(number), 4 * d, 4 * d, d, four, [&](int64_t n, int64_t p, Vector v) { back[p * wide + n] = v; });
        for (int64_t i = 0; i < on.count; ++i)
            through_norm<true>(stream + i * wide, back + i * wide, after.at(i), at.after_scale[i], d);
        gradient(to.merge(number), d, Places{at.found, wide, on.count}, d, out, d);
        product<true>(w.merge(number), d, d, d, out, [&](int64_t n, int64_t p, Vector v) { back[p * wide + n] = v; });
        through_attention(shape, at, on, seen, back, projected, slopes);
        const Places all_normed{at.normed, wide, S}, others{projected + d, wide3, S};
        const Places queries{projected + on.first * wide3, on.step * wide3, on.count};
        gradient(to.attend(number), 3 * d, Places{at.normed + on.first * wide, on.step * wide, on.count}, d, queries, d);
        gradient(to.attend(number) + d, 3 * d, all_normed, d, others, 2 * d);
        product<true>(w.attend(number) + d, 3 * d, 2 * d, d, others, [&](int64_t n, int64_t p, Vector v) { back[p * wide + n] = v; });
        product<true>(w.attend(number), 3 * d, d, d, queries,
                      [&](int64_t n, int64_t p, Vector v) { back[on.place(p) * wide + n] += v; });
        for (int64_t i = on.count - 1; i >= 0 && on.count < S; --i) {  // the stream by place, zero where none goes on
            int64_t place = on.place(i), end = i + 1 < on.count ? on.place(i + 1) : S;
            for (int64_t k = 0; k < d; ++k) stream[place * wide + k] = stream[i * wide + k];
            for (int64_t other = place + 1; other < end; ++other) fill(stream + other * wide, d, Vector{});
        }
        if (on.count < S)
            for (int64_t other = 0; other < on.first; ++other) fill(stream + other * wide, d, Vector{});
        for (int64_t p = 0; p < S; ++p)
            through_norm<true>(stream + p * wide, back + p * wide, at.normed + p * wide, at.scale[p], d);
    }
    for (int64_t p = 0; p < S; ++p) through_embedding(to, stream + p * wide, tokens + p * LANES, shape.position(p));
}

}  // namespace INSTRUCTIONS
