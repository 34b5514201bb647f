// The named random streams of simulator/common/random_streams.py, number for number: SHA-256 of a name (FIPS 180-4), Philox
// 4x64 with ten rounds keyed by it (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), and numpy's ways from
// its words to uniform numbers, permutations and normal numbers (a ziggurat of 256 layers, Marsaglia & Tsang 2000).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace streams {

// The first sixteen bytes of the SHA-256 of a name, as two words.
inline void key_of(const uint8_t *name, uint32_t length, uint64_t key[2]) {
    static const uint32_t PRIMES[64] = {2,   3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,  47,  53,
                                        59,  61,  67,  71,  73,  79,  83,  89,  97,  101, 103, 107, 109, 113, 127, 131,
                                        137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193, 197, 199, 211, 223,
                                        227, 229, 233, 239, 241, 251, 257, 263, 269, 271, 277, 281, 283, 293, 307, 311};
    const auto fraction = [](double root) { return (uint32_t)((root - std::floor(root)) * 4294967296.0); };
    uint32_t k[64], h[8], w[64];
    for (int i = 0; i < 64; ++i) k[i] = fraction(std::cbrt((double)PRIMES[i]));
    for (int i = 0; i < 8; ++i) h[i] = fraction(std::sqrt((double)PRIMES[i]));
    const auto turned = [](uint32_t x, int by) { return x >> by | x << (32 - by); };
    const uint32_t whole = (length + 9 + 63) / 64 * 64;
    for (uint32_t block = 0; block < whole; block += 64) {
        for (int i = 0; i < 16; ++i) {
            w[i] = 0;
            for (int j = 0; j < 4; ++j) {
                const uint32_t at = block + 4 * i + j;
                uint8_t byte = at < length ? name[at] : at == length ? 0x80 : 0;
                if (at >= whole - 8) byte = (uint8_t)((uint64_t)length * 8 >> (8 * (whole - 1 - at)));
                w[i] = w[i] << 8 | byte;
            }
        }
        for (int i = 16; i < 64; ++i)
            w[i] = w[i - 16] + w[i - 7] + (turned(w[i - 15], 7) ^ turned(w[i - 15], 18) ^ w[i - 15] >> 3) +
                   (turned(w[i - 2], 17) ^ turned(w[i - 2], 19) ^ w[i - 2] >> 10);
        uint32_t s[8];
        std::memcpy(s, h, sizeof s);
        for (int i = 0; i < 64; ++i) {
            const uint32_t one = s[7] + (turned(s[4], 6) ^ turned(s[4], 11) ^ turned(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
            const uint32_t two = (turned(s[0], 2) ^ turned(s[0], 13) ^ turned(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            std::memmove(s + 1, s, 7 * sizeof *s);
            s[4] += one;
            s[0] = one + two;
        }
        for (int i = 0; i < 8; ++i) h[i] += s[i];
    }
    for (int word = 0; word < 2; ++word) {
        key[word] = 0;
        for (int byte = 0; byte < 8; ++byte) key[word] |= (uint64_t)(h[word * 2 + byte / 4] >> (24 - 8 * (byte % 4)) & 255) << (8 * byte);
    }
}

class Stream {
  public:
    Stream(const uint8_t *name, uint32_t length) { key_of(name, length, key); }

    uint64_t word() {
        if (left == 0) refill();
        return ready[4 - left--];
    }

    uint32_t half_word() {
        if (waits) {
            waits = false;
            return kept;
        }
        const uint64_t both = word();
        waits = true;
        kept = (uint32_t)(both >> 32);
        return (uint32_t)both;
    }

    double uniform() { return (double)(word() >> 11) * (1.0 / 9007199254740992.0); }

    // A whole number from 0 to `most`: the first that is not above it, of so many bits.
    uint32_t up_to(uint32_t most) {
        uint32_t mask = most;
        for (int by = 1; by < 32; by *= 2) mask |= mask >> by;
        uint32_t found = 0;
        if (most)
            do found = half_word() & mask;
            while (found > most);
        return found;
    }

    double normal() {
        static const Layers layers;
        for (;;) {
            uint64_t bits = word();
            const int layer = bits & 255;
            bits >>= 8;
            const bool negative = bits & 1;
            const uint64_t size = bits >> 1 & 0x000fffffffffffff;
            const double x = (double)size * layers.width[layer];
            if (size < layers.surely[layer]) return negative ? -x : x;
            if (layer == 0)
                for (;;) {
                    const double beyond = -std::log1p(-uniform()) / Layers::TAIL, room = -std::log1p(-uniform());
                    if (room + room > beyond * beyond) return size >> 8 & 1 ? -(Layers::TAIL + beyond) : Layers::TAIL + beyond;
                }
            if ((layers.height[layer - 1] - layers.height[layer]) * uniform() + layers.height[layer] < std::exp(-0.5 * x * x))
                return negative ? -x : x;
        }
    }

  private:
    // Layers of equal area below e^(-x^2/2), the widest last, but for number 0: the base with its tail.
    struct Layers {
        static constexpr double TAIL = 3.6541528853610087963519472518;
        double width[256], height[256];
        uint64_t surely[256];
        Layers() {
            const double unit = 4503599627370496.0;  // 2^52
            const auto density = [](double x) { return std::exp(-0.5 * x * x); };
            double x = TAIL, before = TAIL;
            const double area = x * density(x) + std::sqrt(std::acos(-1.0) / 2) * std::erfc(x / std::sqrt(2.0)), base = area / density(x);
            width[0] = base / unit, width[255] = x / unit;
            surely[0] = (uint64_t)(x / base * unit), surely[1] = 0;
            height[0] = 1, height[255] = density(x);
            for (int i = 254; i >= 1; --i) {
                x = std::sqrt(-2 * std::log(area / x + density(x)));
                surely[i + 1] = (uint64_t)(x / before * unit);
                before = x;
                height[i] = density(x);
                width[i] = x / unit;
            }
        }
    };

    static void product(uint64_t a, uint64_t b, uint64_t &high, uint64_t &low) {
        const uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
        const uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (uint32_t)middle;
        high = a1 * b1 + (middle >> 32) + (other >> 32);
        low = other << 32 | (uint32_t)(a0 * b0);
    }

    void refill() {
        for (int i = 0; i < 4 && ++counter[i] == 0; ++i) {
        }
        uint64_t k0 = key[0], k1 = key[1];
        std::memcpy(ready, counter, sizeof ready);
        for (int round = 0; round < 10; ++round) {
            uint64_t high0, low0, high1, low1;
            product(0xD2E7470EE14C6C93u, ready[0], high0, low0);
            product(0xCA5A826395121157u, ready[2], high1, low1);
            const uint64_t next[4] = {high1 ^ ready[1] ^ k0, low1, high0 ^ ready[3] ^ k1, low0};
            std::memcpy(ready, next, sizeof ready);
            k0 += 0x9E3779B97F4A7C15u, k1 += 0xBB67AE8584CAA73Bu;
        }
        left = 4;
    }

    uint64_t key[2], counter[4] = {}, ready[4] = {};
    int left = 0;
    bool waits = false;
    uint32_t kept = 0;
};

}  // namespace streams
