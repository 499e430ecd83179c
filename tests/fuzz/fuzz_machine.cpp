#include "fuzz/fuzz_machine.h"

#include <cstdlib>
#include <cstring>

#include "base/assert.h"

namespace godwit::fuzz {

FuzzMachine::FuzzMachine() {
    add_block("ram", ram_pages);
    add_block("rom", rom_pages);
}

/// Memory of exactly the block's size, so that the address sanitizer sees a write past its end.
void FuzzMachine::add_block(const char* id, std::uint64_t pages) {
    const std::size_t bytes = pages * page_bytes;
    memory_.emplace_back(static_cast<std::byte*>(std::aligned_alloc(page_bytes, bytes)));
    GODWIT_ASSERT(memory_.back() != nullptr, "no memory");
    std::memset(memory_.back().get(), 0, bytes);
    blocks_.push_back(RamBlock{id, memory_.back().get(), ByteCount(bytes), true});
}

void FuzzMachine::Free::operator()(std::byte* memory) const {
    std::free(memory);
}

void FuzzMachine::lock() {
    GODWIT_ASSERT(!locked_, "the machine lock is taken twice");
    locked_ = true;
}
void FuzzMachine::unlock() {
    GODWIT_ASSERT(locked_, "the machine lock is not held");
    locked_ = false;
}

Status FuzzMachine::not_a_source() {
    GODWIT_ASSERT(false, "something that only a source does");
    return {};
}

void FuzzMachine::set_ownership_unknown() {
    GODWIT_ASSERT(locked_ && starts == 0, "it is known who has the guest");
    ownership_unknown = true;
}

Status FuzzMachine::set_incoming_run_state(std::string_view name) {
    GODWIT_ASSERT(locked_ && starts == 0, "a run state for a guest that runs");
    return run_state_from_string(name) ? Status() : fail(ErrorCode::stream_corrupt, "there is no such run state");
}

Status FuzzMachine::start_after_load() {
    GODWIT_ASSERT(locked_ && starts == 0 && !ownership_unknown,
                  "the guest is started twice, or while its owner is unknown");
    GODWIT_ASSERT(device.loads == 1, "the guest is started after its device was loaded {} times", device.loads);
    GODWIT_ASSERT(disk.is_flushed(), "the guest is started before its disk is durable");
    ++starts;
    return {};
}

std::uint64_t FuzzMachine::pages_of(std::size_t block) const {
    return blocks_.at(block).size.value() / page_bytes;
}

Extent FuzzMachine::extent_at(std::size_t block, PageNumber page) const {
    GODWIT_ASSERT(page.value() < pages_of(block), "page {} of block {}", page.value(), block);
    return Extent{false, PageNumber(pages_of(block))};
}

Status FuzzMachine::make_zero(std::size_t block, PageNumber first, PageCount count) {
    const std::uint64_t pages = pages_of(block);
    GODWIT_ASSERT(first.value() < pages && count.value() <= pages - first.value(), "pages {} + {} of block {}",
                  first.value(), count.value(), block);
    std::memset(blocks_[block].host + first.value() * page_bytes, 0, count.value() * page_bytes);
    return {};
}

}  // namespace godwit::fuzz
