#include "machine/emulator_dirty_source.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace godwit {

EmulatorDirtySource::EmulatorDirtySource(GuestMemory& memory, EmulatorVcpu& vcpu, Log& log, EmulatorTracking tracking)
    : vcpu_(vcpu), marks_(pages_in(memory.blocks().front().size)) {
    // All writing of others comes here, whether or not tracking is on.
    vcpu_.follow_code(marks_.pages());
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
    marks_.clear();
    if (kernel_) {
        return kernel_->start();
    }
    vcpu_.set_marks(&marks_);
    return {};
}

void EmulatorDirtySource::stop() {
    if (kernel_) {
        kernel_->stop();
    } else {
        vcpu_.set_marks(nullptr);
    }
}

Status EmulatorDirtySource::collect(std::size_t block, std::span<std::uint64_t> bitmap) {
    GODWIT_ASSERT(block == 0, "block {} of an emulated machine, which has one", block);
    if (kernel_) {
        if (Status collected = kernel_->collect(block, bitmap); !collected) {
            return collected;
        }
    }
    marks_.move_to(bitmap);
    return {};
}

Status EmulatorDirtySource::clear(std::size_t /*block*/, PageNumber /*first*/,
                                  std::span<const std::uint64_t> /*bits*/) {
    return {};
}

void EmulatorDirtySource::mark(std::size_t block, PageNumber first, PageCount count) {
    GODWIT_ASSERT(block == 0, "block {} of an emulated machine, which has one", block);
    marks_.mark(first, count);
    vcpu_.memory_written(first, count);
}

}  // namespace godwit
