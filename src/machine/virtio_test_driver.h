#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "io/mapped_memory.h"
#include "machine/guest_ram.h"
#include "machine/virtqueue.h"

namespace godwit {

/// Waits for it; false after ten seconds.
inline bool eventually(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return true;
}

/// Guest memory that remembers which of its pages devices have marked.
class VirtioTestRam {
public:
    static constexpr std::uint64_t bytes = 4 * 1024 * 1024;

    VirtioTestRam() : memory_(std::move(*MappedMemory::create({{"ram", ByteCount(bytes), std::nullopt, false}}))) {
        ram.emplace(*memory_, std::vector<RamRange>{{GuestAddress(0), ByteCount(bytes), BlockOffset(0)}});
        ram->set_write_handler([this](std::size_t /*block*/, PageNumber first, PageCount count) {
            for (std::uint64_t page = 0; page < count.value(); ++page) {
                marks_[first.value() + page] = true;
            }
        });
    }
    std::byte* at(std::uint64_t address) { return ram->find(GuestAddress(address), ByteCount(1))->data(); }
    template <typename T>
    void put(std::uint64_t address, T value) {
        std::memcpy(at(address), &value, sizeof value);
    }
    template <typename T>
    T get(std::uint64_t address) {
        T value;
        std::memcpy(&value, at(address), sizeof value);
        return value;
    }
    /// A ring's index, which the device reads and writes meanwhile.
    std::atomic_ref<std::uint16_t> index(std::uint64_t address) {
        return std::atomic_ref(*reinterpret_cast<std::uint16_t*>(at(address)));
    }
    bool is_marked(std::uint64_t address) const { return marks_[address / page_bytes]; }
    void clear_marks() {
        for (auto& mark : marks_) {
            mark = false;
        }
    }

    std::optional<GuestRam> ram;

private:
    std::unique_ptr<MappedMemory> memory_;
    std::vector<std::atomic<bool>> marks_ = std::vector<std::atomic<bool>>(bytes / page_bytes);
};

/// The driver's side of a split queue, without any care.
class VirtioTestDriver {
public:
    enum Flags : std::uint16_t { next = 1, write = 2, indirect = 4 };
    struct Buffer {
        std::uint64_t address = 0;
        std::uint32_t bytes = 0;
        std::uint16_t flags = 0;
        std::uint16_t next = 0;
    };

    VirtioTestDriver(VirtioTestRam& ram, std::uint16_t size)
        : ram_(ram), layout{size, GuestAddress(0x10000), GuestAddress(0x20000), GuestAddress(0x30000)} {}

    void put_descriptor(std::uint16_t index, const Buffer& buffer) {
        put_descriptor_at(layout.descriptors.value() + 16U * index, buffer);
    }
    void put_descriptor_at(std::uint64_t address, const Buffer& buffer) {
        ram_.put(address, buffer.address);
        ram_.put(address + 8, buffer.bytes);
        ram_.put(address + 12, buffer.flags);
        ram_.put(address + 14, buffer.next);
    }
    /// Puts the buffers into descriptors one after the other, from `first` on, as one chain.
    void put_chain(std::uint16_t first, std::vector<Buffer> buffers) {
        for (std::size_t n = 0; n < buffers.size(); ++n) {
            const auto index = static_cast<std::uint16_t>(first + n);
            if (n + 1 < buffers.size()) {
                buffers[n].flags |= next;
                buffers[n].next = static_cast<std::uint16_t>(index + 1);
            }
            put_descriptor(index, buffers[n]);
        }
    }
    void make_available(std::uint16_t head) {
        ram_.put<std::uint16_t>(layout.available.value() + 4 + 2 * (available_ % layout.size), head);
        ++available_;
        ram_.index(layout.available.value() + 2).store(available_);
    }
    std::uint16_t used() { return ram_.index(layout.used.value() + 2).load(); }
    std::pair<std::uint32_t, std::uint32_t> used_entry(std::uint16_t n) {
        const std::uint64_t entry = layout.used.value() + 4 + 8U * (n % layout.size);
        return {ram_.get<std::uint32_t>(entry), ram_.get<std::uint32_t>(entry + 4)};
    }
    void set_available_index(std::uint16_t value) {
        available_ = value;
        ram_.index(layout.available.value() + 2).store(value);
    }
    void want_no_interrupt(bool none) { ram_.put<std::uint16_t>(layout.available.value(), none ? 1 : 0); }
    void want_interrupt_after(std::uint16_t used_index) {
        ram_.index(layout.available.value() + 4 + 2 * layout.size).store(used_index);
    }
    std::uint16_t wants_notification_after() { return ram_.index(layout.used.value() + 4 + 8 * layout.size).load(); }

private:
    VirtioTestRam& ram_;
    std::uint16_t available_ = 0;

public:
    const VirtqueueLayout layout;
};

}  // namespace godwit
