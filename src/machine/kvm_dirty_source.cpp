#include "machine/kvm_dirty_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "machine/kvm_api.h"
#include "machine/kvm_ioctl.h"

namespace godwit {

namespace {

constexpr std::uint64_t word_pages = 64;

std::uint64_t first_page(const KvmDirtySource::Slot& slot) {
    return slot.offset.value() / page_bytes;
}

std::uint64_t page_count(const KvmDirtySource::Slot& slot) {
    return slot.size.value() / page_bytes;
}

/// The bits of a word from `first` on, `count` of them.
std::uint64_t mask(std::uint64_t first, std::uint64_t count) {
    const std::uint64_t ones = count == word_pages ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
    return ones << first;
}

}  // namespace

KvmDirtySource::KvmDirtySource(KvmVm& vm, const std::vector<Slot>& slots) : vm_(vm) {
    std::vector<std::uint64_t> pages;
    std::size_t most_words = 0;
    for (const Slot& slot : slots) {
        GODWIT_ASSERT(first_page(slot) % word_pages == 0 && slot.offset.value() % page_bytes == 0,
                      "memory slot {} begins at byte {:#x} of its block, within a word of the bitmap", slot.slot,
                      slot.offset.value());
        GODWIT_ASSERT(slot.size.value() % page_bytes == 0, "memory slot {} has {} bytes", slot.slot, slot.size.value());
        pages.resize(std::max(pages.size(), slot.block + 1));
        pages[slot.block] = std::max(pages[slot.block], first_page(slot) + page_count(slot));
        most_words = std::max(most_words, static_cast<std::size_t>((page_count(slot) + word_pages - 1) / word_pages));
        if (vm_.is_logged(slot.slot)) {
            slots_.push_back(slot);
        }
    }
    for (const std::uint64_t count : pages) {
        host_marks_.emplace_back(PageCount(count));
    }
    log_.resize(most_words);
}

KvmDirtySource::~KvmDirtySource() {
    stop();
}

Status KvmDirtySource::start() {
    GODWIT_ASSERT(!tracking_, "written pages are tracked already");
    // What was written until now counts as dirty anyway.
    for (PageMarks& marks : host_marks_) {
        marks.clear();
    }
    tracking_ = true;
    for (const Slot& slot : slots_) {
        if (auto status = vm_.set_dirty_logging(slot.slot, true); !status) {
            stop();
            return status;
        }
    }
    return {};
}

void KvmDirtySource::stop() {
    if (!tracking_) {
        return;
    }
    tracking_ = false;
    for (const Slot& slot : slots_) {
        if (auto status = vm_.set_dirty_logging(slot.slot, false); !status) {
            vm_.log().write(LogLevel::warning,
                            fmt::format("written pages are still tracked: {}", status.error().text()));
        }
    }
}

Status KvmDirtySource::collect(std::size_t block, std::span<std::uint64_t> bitmap) {
    GODWIT_ASSERT(tracking_, "written pages are not tracked");
    GODWIT_ASSERT(block < host_marks_.size() && bitmap.size() >= host_marks_[block].word_count(),
                  "a bitmap of {} words for block {}", bitmap.size(), block);
    for (const Slot& slot : slots_) {
        if (slot.block != block) {
            continue;
        }
        if (auto status = collect_slot(slot, bitmap); !status) {
            return status;
        }
    }
    host_marks_[block].move_to(bitmap);
    return {};
}

Status KvmDirtySource::collect_slot(const Slot& slot, std::span<std::uint64_t> bitmap) {
    kvm_dirty_log request{};
    request.slot = slot.slot;
    request.dirty_bitmap = log_.data();
    if (auto done = kvm_ioctl(vm_.fd(), GODWIT_KVM(KVM_GET_DIRTY_LOG), &request, ErrorCode::dirty_tracking); !done) {
        return fail(done.error());
    }
    const auto words = bitmap.subspan(static_cast<std::size_t>(first_page(slot) / word_pages));
    const auto count = static_cast<std::size_t>((page_count(slot) + word_pages - 1) / word_pages);
    // The log may have bits past its slot.
    if (const std::uint64_t rest = page_count(slot) % word_pages; rest != 0) {
        log_[count - 1] &= mask(0, rest);
    }
    for (std::size_t n = 0; n < count; ++n) {
        words[n] |= log_[n];
    }
    return {};
}

Status KvmDirtySource::clear(std::size_t block, PageNumber first, std::span<const std::uint64_t> bits) {
    GODWIT_ASSERT(first.value() % word_pages == 0, "pages are cleared from page {}, within a word", first.value());
    if (!vm_.features().manual_dirty_clear) {
        return {};
    }
    for (const Slot& slot : slots_) {
        if (slot.block != block) {
            continue;
        }
        const std::uint64_t begin = std::max(first.value(), first_page(slot));
        const std::uint64_t end =
            std::min(first.value() + bits.size() * word_pages, first_page(slot) + page_count(slot));
        if (begin >= end) {
            continue;
        }
        const auto skipped = static_cast<std::size_t>((begin - first.value()) / word_pages);
        const auto count = static_cast<std::size_t>((end - begin + word_pages - 1) / word_pages);
        if (auto status = clear_slot(slot, begin - first_page(slot), bits.subspan(skipped, count)); !status) {
            return status;
        }
    }
    return {};
}

/// KVM wants a multiple of 64 pages, from a multiple of 64 on, unless the pages end with the slot. Both hold: slots
/// begin at a multiple of 64 within their block, as bitmaps do, and a shorter last word can only be the slot's own.
Status KvmDirtySource::clear_slot(const Slot& slot, std::uint64_t first, std::span<const std::uint64_t> bits) {
    const auto is_set = [](std::uint64_t word) { return word != 0; };
    const auto begin = std::find_if(bits.begin(), bits.end(), is_set);
    if (begin == bits.end()) {
        return {};
    }
    const auto end = std::find_if(bits.rbegin(), bits.rend(), is_set).base();
    const std::uint64_t start = first + static_cast<std::uint64_t>(begin - bits.begin()) * word_pages;
    const std::uint64_t pages = static_cast<std::uint64_t>(end - begin) * word_pages;
    kvm_clear_dirty_log request{};
    request.slot = slot.slot;
    request.first_page = start;
    request.num_pages = static_cast<std::uint32_t>(std::min(pages, page_count(slot) - start));
    request.dirty_bitmap = const_cast<std::uint64_t*>(&*begin);
    if (auto done = kvm_ioctl(vm_.fd(), GODWIT_KVM(KVM_CLEAR_DIRTY_LOG), &request, ErrorCode::dirty_tracking); !done) {
        return fail(done.error());
    }
    return {};
}

void KvmDirtySource::mark(std::size_t block, PageNumber first, PageCount count) {
    GODWIT_ASSERT(block < host_marks_.size(), "block {} is no guest memory", block);
    host_marks_[block].mark(first, count);
}

}  // namespace godwit
