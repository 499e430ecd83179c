#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ram/testing.h"
#include "rdma/page_receiver.h"
#include "rdma/page_sender.h"
#include "rdma/testing.h"

namespace godwit::rdma {

/// The destination's memory, as a loader keeps it. What is not registered is given back by `make_zero`.
class MemoryTarget : public DirectPageTarget {
public:
    explicit MemoryTarget(::godwit::testing::VectorMemory& memory) : memory_(memory) {}
    Result<std::size_t> find_block(std::string_view id, ByteCount size) override {
        for (std::size_t i = 0; i < memory_.blocks().size(); ++i) {
            if (memory_.blocks()[i].id == id && memory_.blocks()[i].size == size) {
                return i;
            }
        }
        return fail(ErrorCode::ram_mismatch, "no RAM block \"" + std::string(id) + "\" of this size");
    }
    std::span<const RamBlock> blocks() const override { return memory_.blocks(); }
    void exposed(std::size_t, PageNumber, PageCount count) override { exposed_pages += count.value(); }
    Status zero_pages(std::size_t block, PageNumber first, PageCount count, bool registered) override {
        (registered ? zeros_registered : zeros_unregistered) += count.value();
        return memory_.make_zero(block, first, count);
    }

    std::uint64_t exposed_pages = 0;
    std::uint64_t zeros_registered = 0;
    std::uint64_t zeros_unregistered = 0;

private:
    ::godwit::testing::VectorMemory& memory_;
};

/// A source and a destination with the same blocks (in another order), over a fake network and connection. The
/// destination serves rounds on a thread of its own until one fails or the connection ends.
class PagePair {
public:
    using Memory = ::godwit::testing::VectorMemory;

    explicit PagePair(std::uint32_t seed = 1, ByteCount limit = no_registration_limit)
        : network(seed),
          source({{"ram", 700}, {"small", 3}}),
          destination({{"small", 3}, {"ram", 700}}),
          target(destination) {
        auto [here, there] = FakeControl::pair();
        source_control = std::move(here);
        destination_control = std::move(there);
        auto fabric = std::make_unique<FakeFabric>(network);
        source_fabric = fabric.get();
        sender = std::make_unique<PageSender>(*source_control, std::move(fabric), PageTerms{.clock = &clock});
        receiver = std::make_unique<PageReceiver>(*destination_control, std::make_unique<FakeFabric>(network),
                                                  PageTerms{.registration_limit = limit});
        thread = std::thread([this] { serve(); });
    }
    ~PagePair() {
        source_control->shut_down("the test is over");
        thread.join();
    }

    Status open(bool pin_all = false) {
        Status opened = sender->open(source.blocks(), pin_all, never);
        return opened ? sender->end_round(never) : opened;
    }
    bool same() const {
        const auto equal = [&](std::size_t at_source, std::size_t at_destination) {
            const RamBlock& a = source.blocks()[at_source];
            const RamBlock& b = destination.blocks()[at_destination];
            return std::memcmp(a.host, b.host, a.size.value()) == 0;
        };
        return equal(0, 1) && equal(1, 0);
    }
    /// Waits until the destination has used up all rounds. The source's thread.
    void settle(std::uint64_t rounds) {
        std::unique_lock lock(mutex);
        ASSERT_TRUE(served_changed.wait_for(lock, std::chrono::seconds(30), [&] { return served >= rounds || error; }));
    }
    Error destination_error() {
        std::unique_lock lock(mutex);
        served_changed.wait_for(lock, std::chrono::seconds(30), [&] { return error.has_value(); });
        return error.value_or(Error{ErrorCode::internal, "the destination goes on serving"});
    }

    MonotonicClock clock;
    FakeNetwork network;
    Memory source;
    Memory destination;
    MemoryTarget target;
    std::unique_ptr<FakeControl> source_control;
    std::unique_ptr<FakeControl> destination_control;
    FakeFabric* source_fabric = nullptr;
    std::unique_ptr<PageSender> sender;
    std::unique_ptr<PageReceiver> receiver;

private:
    void serve() {
        for (;;) {
            const Status round = receiver->serve_round(target);
            const std::lock_guard lock(mutex);
            if (!round) {
                error = round.error();
                destination_control->shut_down(round.error().message);
                served_changed.notify_all();
                return;
            }
            ++served;
            served_changed.notify_all();
        }
    }

    std::mutex mutex;
    std::condition_variable served_changed;
    std::uint64_t served = 0;    // these under mutex
    std::optional<Error> error;  // why the destination has stopped to serve
    std::thread thread;
};

}  // namespace godwit::rdma
