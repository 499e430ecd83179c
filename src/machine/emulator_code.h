#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "godwit/units.h"
#include "machine/page_marks.h"

namespace godwit {

/// Knows on which pages of memory an emulator has translated code, and which of these were written by others since. The
/// emulator notices what its CPU writes, but not what devices do.
///
/// A page is noted after its first code was translated, so that code is stale too: what others wrote in between, they
/// had no reason to tell.
class EmulatorCode {
public:
    /// `pages` of each block.
    explicit EmulatorCode(const std::vector<PageCount>& pages);

    /// Tells that others have written to these pages; after the writing, and before the guest can learn of it. Any
    /// thread.
    void written(std::size_t block, PageNumber first, PageCount count);

    // The CPU's thread.
    /// Code of this page is about to run.
    void note(std::size_t block, PageNumber page);
    /// Whether code may not be what memory says.
    bool is_stale() const { return any_stale_.load(); }
    /// Calls `forget` for each page whose translated code has to be forgotten.
    void take_stale(const std::function<void(std::size_t block, PageNumber page)>& forget);
    /// All translated code has to be forgotten.
    void forget_all();
    /// Nothing is translated now.
    void clear();

private:
    BlockMarks translated_;
    BlockMarks stale_;
    /// Set after the mark in `stale_`.
    std::atomic<bool> any_stale_ = false;
    /// The CPU's thread: room for what is taken from `stale_`.
    std::vector<std::uint64_t> taken_;
};

}  // namespace godwit
