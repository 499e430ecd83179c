#include "real/tiny_machine.h"

#include <cstring>

#if defined(__GNUC__)
#define GODWIT_NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define GODWIT_NO_TSAN
#endif

namespace godwit::race {
namespace {

std::byte* aligned(std::byte* raw) {
    const auto address = reinterpret_cast<std::uintptr_t>(raw);
    return raw + (page_bytes - address % page_bytes) % page_bytes;
}

}  // namespace

TinyMachine::TinyMachine(Faults& faults, std::atomic<int>& running_guests, RunState state)
    : faults_(faults),
      running_guests_(running_guests),
      state_(state),
      raw_(std::make_unique<std::byte[]>((tiny_pages + 1) * page_bytes)) {
    block_ = RamBlock{"ram", aligned(raw_.get()), ByteCount(tiny_pages * page_bytes), true};
    if (state == RunState::running) {
        ++running_guests_;
    }
    guest_ = std::thread([this] { run_guest(); });
}

TinyMachine::~TinyMachine() {
    ending_ = true;
    guest_.join();
    if (guest_runs()) {
        --running_guests_;
    }
}

/// A guest writes while its memory is read: that is what dirty tracking is for, and no race to report.
GODWIT_NO_TSAN void TinyMachine::write_a_word(std::uint64_t count) {
    const std::uint64_t page = count * 7 % tiny_pages;
    auto* word = reinterpret_cast<volatile std::uint64_t*>(block_.host + page * page_bytes + count % 500 * 8);
    *word = count;
    dirty_.fetch_or(std::uint64_t{1} << page);
}

void TinyMachine::run_guest() {
    for (std::uint64_t count = 1; !ending_; ++count) {
        {
            const std::lock_guard writing(vcpu_);
            if (guest_runs()) {
                write_a_word(count);
            }
        }
        std::this_thread::sleep_for(std::chrono::microseconds(30));
    }
}

void TinyMachine::set_state(RunState state) {
    const RunState before = state_.exchange(state);
    if (before != RunState::running && state == RunState::running) {
        if (++running_guests_ > 1) {
            faults_.note("the guest runs twice");
        }
    } else if (before == RunState::running && state != RunState::running) {
        --running_guests_;
    }
}

Status TinyMachine::stop_for_switchover() {
    const std::lock_guard no_write(vcpu_);
    set_state(RunState::finish_migrate);
    return {};
}

Status TinyMachine::resume_after_failure(RunState before) {
    if (run_state() != RunState::finish_migrate) {
        faults_.note("resumed without having been stopped");
    }
    set_state(before);
    return {};
}

void TinyMachine::finish_migrated(bool) {
    set_state(RunState::postmigrate);
}

void TinyMachine::set_ownership_unknown() {
    unknown_ = true;
    set_state(RunState::paused);
}

Status TinyMachine::set_incoming_run_state(std::string_view name) {
    incoming_ = run_state_from_string(name).value_or(RunState::internal_error);
    return {};
}

Status TinyMachine::start_after_load() {
    if (comes_from != nullptr && !same_memory(*comes_from)) {
        faults_.note("the guest starts with wrong memory");
    }
    set_state(incoming_);
    return {};
}

Status TinyMachine::make_zero(std::size_t, PageNumber first, PageCount count) {
    std::memset(block_.host + first.value() * page_bytes, 0, count.value() * page_bytes);
    return {};
}

Status TinyMachine::start() {
    dirty_ = 0;
    tracking_ = true;
    return {};
}

Status TinyMachine::collect(std::size_t, std::span<std::uint64_t> bitmap) {
    bitmap[0] |= dirty_.exchange(0);
    return {};
}

bool TinyMachine::same_memory(const TinyMachine& other) const {
    return std::memcmp(block_.host, other.block_.host, tiny_pages * page_bytes) == 0;
}

}  // namespace godwit::race
