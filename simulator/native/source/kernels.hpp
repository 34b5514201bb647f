// The kernels of one instruction set, as a table that engine.cpp chooses from.
//
// Included once for each set, by a file that first says LANES, ROWS, COLUMNS and INSTRUCTIONS and turns the set on.
#pragma once

#include "judging.hpp"
#include "listed.hpp"
#include "table.h"
#include "training.hpp"
#include "tree.hpp"

namespace INSTRUCTIONS {

inline Kernels kernels(const char *name) {
    return {name, LANES, kept_floats, forward, backward, adam, sample, tree, train, judge, placements, moments};
}

}  // namespace INSTRUCTIONS
