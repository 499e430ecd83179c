#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "godwit/units.h"
#include "io/test_support.h"
#include "rdma/ucx_fabric.h"

/// Both ends of a fabric, with memory to write to.
namespace godwit::rdma::test_fabric {

inline constexpr std::size_t memory_bytes = 8U << 20U;
inline constexpr std::size_t chunk_size = 64U << 10U;
inline constexpr std::size_t chunks = memory_bytes / chunk_size;
inline constexpr std::size_t window = 64;
inline constexpr WriteId flush_id = ~WriteId{0};

/// Page aligned memory.
struct Memory {
    explicit Memory(std::byte value)
        : storage(memory_bytes + page_bytes, value),
          bytes(storage.data() + (page_bytes - reinterpret_cast<std::uintptr_t>(storage.data()) % page_bytes),
                memory_bytes) {}
    std::vector<std::byte> storage;
    MutableBuffer bytes;
};

/// What the byte at `offset` is at the source.
inline std::byte pattern(std::size_t offset) {
    return static_cast<std::byte>((offset * 2654435761U) >> 13U);
}

inline void fill(MutableBuffer memory) {
    for (std::size_t i = 0; i < memory.size(); ++i) {
        memory[i] = pattern(i);
    }
}

inline bool is_filled(ConstBuffer memory) {
    for (std::size_t i = 0; i < memory.size(); ++i) {
        if (memory[i] != pattern(i)) {
            return false;
        }
    }
    return true;
}

/// Over tcp within this host: what can be tested without a device.
inline std::unique_ptr<Fabric> make(Log& log) {
    auto fabric = make_ucx_fabric(Transport::tcp, "lo", log);
    EXPECT_OK(fabric);
    return fabric ? std::move(*fabric) : nullptr;
}

/// Calls `progress`, and waits for the fabric where there is nothing to do.
inline Status step(Fabric& fabric, std::vector<WriteId>& finished) {
    const auto moved = fabric.progress(finished);
    if (!moved) {
        return fail(moved.error());
    }
    if (!*moved && fabric.arm()) {
        pollfd ready{.fd = fabric.descriptor(), .events = POLLIN, .revents = 0};
        ::poll(&ready, 1, 10);
    }
    return {};
}

/// A source that has connected, and its memory.
struct Source {
    explicit Source(Log& log) : fabric(make(log)), memory(std::byte{0}) { fill(memory.bytes); }

    Status write(std::size_t chunk) {
        const ConstBuffer from = memory.bytes.subspan(chunk * chunk_size, chunk_size);
        return fabric->start_write(from, target + chunk * chunk_size, *key, chunk);
    }
    /// Writes all chunks in an order of chance and flushes.
    Status write_all(std::vector<WriteId>& finished) {
        std::vector<std::size_t> order(chunks);
        std::iota(order.begin(), order.end(), 0);
        std::shuffle(order.begin(), order.end(), std::mt19937(42));
        const Instant deadline = test::in(test::patience);
        for (std::size_t next = 0; finished.size() < chunks;) {
            while (next < chunks && next - finished.size() < window) {
                if (Status begun = write(order[next++]); !begun) {
                    return begun;
                }
            }
            if (Status moved = step_until(finished, deadline); !moved) {
                return moved;
            }
        }
        if (Status begun = fabric->start_flush(flush_id); !begun) {
            return begun;
        }
        while (std::find(finished.begin(), finished.end(), flush_id) == finished.end()) {
            if (Status moved = step_until(finished, deadline); !moved) {
                return moved;
            }
        }
        return {};
    }
    Status step_until(std::vector<WriteId>& finished, Instant deadline) const {
        if (MonotonicClock().now() > deadline) {
            return fail(ErrorCode::idle_timeout, "the writes do not end");
        }
        return step(*fabric, finished);
    }

    std::unique_ptr<Fabric> fabric;
    Memory memory;
    std::unique_ptr<RemoteMemory> key;
    RemoteAddress target;
};

/// A destination whose fabric moves on a thread of its own.
class Destination {
public:
    explicit Destination(Log& log) : fabric_(make(log)), memory_(std::byte{0xee}) {
        auto registered = fabric_->register_memory(memory_.bytes);
        EXPECT_OK(registered);
        registered_ = std::move(*registered);
        thread_ = std::thread([this] {
            std::vector<WriteId> none;
            while (!stop_) {
                EXPECT_OK(step(*fabric_, none));
            }
        });
    }
    ~Destination() {
        stop();
        registered_.reset();
    }
    Destination(const Destination&) = delete;
    Destination& operator=(const Destination&) = delete;

    void stop() {
        stop_ = true;
        if (thread_.joinable()) {
            thread_.join();
        }
    }
    ConstBuffer address() const { return fabric_->address(); }
    ConstBuffer key() const { return registered_->key(); }
    ConstBuffer memory() const { return memory_.bytes; }
    RemoteAddress remote_address() const { return {reinterpret_cast<std::uintptr_t>(memory_.bytes.data())}; }

private:
    std::unique_ptr<Fabric> fabric_;
    Memory memory_;
    std::unique_ptr<RegisteredMemory> registered_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

inline Status connect(Source& source, ConstBuffer address, ConstBuffer key, RemoteAddress target) {
    if (Status connected = source.fabric->connect(address); !connected) {
        return connected;
    }
    auto opened = source.fabric->open_key(key);
    if (!opened) {
        return fail(opened.error());
    }
    source.key = std::move(*opened);
    source.target = target;
    return {};
}

}  // namespace godwit::rdma::test_fabric
