// Aligned memory of one call, given back at its end. It is one allocation, so that there is one check for failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

class Scratch {
  public:
    static constexpr std::size_t LINE = 64;

    explicit Scratch(std::size_t bytes) : taken(0), size(bytes + LINE * 16), memory(std::malloc(size)) {}
    ~Scratch() { std::free(memory); }
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;

    bool there() const { return memory != nullptr; }

    // Room for `count` of T; at most sixteen times, and together as many bytes as were asked for.
    template <class T>
    T *take(int64_t count) {
        std::size_t begin = (reinterpret_cast<std::uintptr_t>(memory) + taken + LINE - 1) / LINE * LINE;
        taken = begin + (std::size_t)count * sizeof(T) - reinterpret_cast<std::uintptr_t>(memory);
        return taken <= size ? reinterpret_cast<T *>(begin) : nullptr;
    }

  private:
    std::size_t taken, size;
    void *memory;
};

}  // namespace
