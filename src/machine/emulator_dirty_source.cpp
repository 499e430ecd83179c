#include "machine/emulator_dirty_source.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace godwit {

EmulatorDirtySource::EmulatorDirtySource(GuestMemory& memory, EmulatorVcpu& vcpu, Log& log, EmulatorTracking tracking)
    : vcpu_(vcpu) {
    std::vector<PageCount> pages;
    for (const RamBlock& block : memory.blocks()) {
        pages.push_back(pages_in(block.size));
        marks_.emplace_back(pages.back());
    }
    // All writing of others comes here, whether or not tracking is on.
    vcpu_.follow_code(pages);
    if (tracking == EmulatorTracking::write_hook) {
        return;
    }
    auto kernel = UffdDirtySource::create(memory, log);
    if (kernel) {
        kernel_ = std::move(*kernel);
    } else {
        log.write(LogLevel::info, fmt::format("the emulator tells which pages are written, which is slower: {}",
                                              kernel.error().message));
    }
}

EmulatorDirtySource::~EmulatorDirtySource() {
    EmulatorDirtySource::stop();
}

Status EmulatorDirtySource::start() {
    for (PageMarks& marks : marks_) {
        marks.clear();
    }
    if (kernel_) {
        return kernel_->start();
    }
    return vcpu_.set_marks(&marks_);
}

void EmulatorDirtySource::stop() {
    if (kernel_) {
        kernel_->stop();
    } else {
        const Status stopped = vcpu_.set_marks(nullptr);
        GODWIT_ASSERT(stopped, "pages are still marked: {}", stopped.error().message);
    }
}

Status EmulatorDirtySource::collect(std::size_t block, std::span<std::uint64_t> bitmap) {
    GODWIT_ASSERT(block < marks_.size(), "block {} is no guest memory", block);
    if (kernel_) {
        if (Status collected = kernel_->collect(block, bitmap); !collected) {
            return collected;
        }
    }
    marks_[block].move_to(bitmap);
    return {};
}

Status EmulatorDirtySource::clear(std::size_t /*block*/, PageNumber /*first*/,
                                  std::span<const std::uint64_t> /*bits*/) {
    return {};
}

void EmulatorDirtySource::mark(std::size_t block, PageNumber first, PageCount count) {
    GODWIT_ASSERT(block < marks_.size(), "block {} is no guest memory", block);
    marks_[block].mark(first, count);
    vcpu_.memory_written(block, first, count);
}

}  // namespace godwit
