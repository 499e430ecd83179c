#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "godwit/error.h"
#include "godwit/units.h"

namespace godwit {

/// Knows which pages were written. Bit n of word w of a bitmap stands for page 64 * w + n of the block.
///
/// The rule that makes a live copy correct: a page's dirty mark is cleared *before* the page is read. So a write after
/// the reading always shows in a later `collect`. A source may clear marks inside `collect` (then `clear` does nothing)
/// or leave that to `clear`, which is called for every page before it is read.
///
/// All calls but `start` and `stop` come from the migration thread; `collect` comes with the machine lock held.
class DirtySource {
public:
    virtual ~DirtySource() = default;
    /// Begins to track. Every page counts as dirty at this moment, whatever `collect` says about it. (A source that
    /// clears in `collect` should begin without marks: those would be sent a second time.)
    virtual Status start() = 0;
    /// Ends tracking. Idempotent; errors cannot harm anybody any more and are logged by the implementation.
    virtual void stop() = 0;
    /// Adds (ORs) the pages of a block written since the last time to `bitmap`.
    virtual Status collect(std::size_t block, std::span<std::uint64_t> bitmap) = 0;
    /// Clears the marks of the pages set in `bits`; `first` is a multiple of 64.
    virtual Status clear(std::size_t block, PageNumber first, std::span<const std::uint64_t> bits) = 0;
};

}  // namespace godwit
