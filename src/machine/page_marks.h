#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "godwit/units.h"

namespace godwit {

/// One mark per page of a block, set by any thread while another one takes them.
class PageMarks {
public:
    explicit PageMarks(PageCount pages);

    PageCount pages() const { return pages_; }
    std::size_t word_count() const { return static_cast<std::size_t>((pages_.value() + 63) / 64); }

    /// The pages must be the block's.
    void mark(PageNumber first, PageCount count);
    void clear();
    bool is_marked(PageNumber page) const;
    /// Marks those of these pages that are marked in `others`, of as many pages; whether there are any. A mark that
    /// is set at the same time is seen here, or who sets it sees what this thread has written before.
    bool mark_those_of(PageMarks& others, PageNumber first, PageCount count);
    /// Adds the marks to a bitmap of at least `word_count` words, and takes them back here.
    void move_to(std::span<std::uint64_t> bitmap);

private:
    void check(PageNumber first, PageCount count) const;

    PageCount pages_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
};

/// By block.
using BlockMarks = std::vector<PageMarks>;

}  // namespace godwit
