#pragma once

#include <set>
#include <utility>
#include <vector>

#include "godwit/channel.h"
#include "godwit/direct_pages.h"
#include "sim/direct_frame.h"
#include "sim/direct_plan.h"
#include "sim/sim_memory.h"

namespace godwit::sim {

class SimChannel;

/// The source's end of the way past the stream. Reads what was put as late as it may, in any order, so that the guest's
/// writes fall between; checks that it is used as `godwit/direct_pages.h` says.
class SimDirectSender : public DirectPageSender {
public:
    SimDirectSender(World& world, SimChannel& channel, const DirectPlan& plan, SimMemory* memory)
        : world_(world), channel_(channel), plan_(plan), memory_(memory) {}

    Status open(std::span<const RamBlock> blocks, bool pin_all, Instant deadline) override;
    void put_page(std::size_t block, PageNumber page) override { put({block, page.value(), false}); }
    void put_zero_page(std::size_t block, PageNumber page) override { put({block, page.value(), true}); }
    Status push(Instant deadline) override;
    Status end_round(Instant deadline) override;
    void close() override;
    DirectPageFigures figures() const override { return figures_; }

    /// The stream goes on; the last eight bytes of it so far.
    void stream_written(std::uint64_t last_word);
    /// Nothing can be written any more.
    void stream_failed() { stream_failed_ = true; }
    bool closed() const { return closed_; }

private:
    struct Put {
        std::size_t block;
        std::uint64_t page;
        bool zero;
    };

    void put(const Put& what);
    void expect_round(const char* what);
    Status keep(Status status);
    Status say_blocks(bool pin_all, Instant deadline);
    Status send_any(std::size_t count, Instant deadline);
    Status send(const Put& what, Instant deadline);
    Status say(DirectFrame frame, ConstBuffer data, Instant deadline);
    Status enroll(const DirectChunk& chunk, Instant deadline);
    Status give_something_back(Instant deadline);
    Status finish_round(Instant deadline);
    std::uint64_t pages_of(const DirectChunk& chunk) const;

    World& world_;
    SimChannel& channel_;
    const DirectPlan plan_;
    SimMemory* memory_;
    std::span<const RamBlock> blocks_;
    std::vector<Put> waiting_;
    std::set<std::pair<std::size_t, std::uint64_t>> put_in_round_;
    std::set<DirectChunk> enrolled_;
    DirectPageFigures figures_;
    std::optional<Error> error_;
    std::uint64_t pages_in_round_ = 0;
    bool in_round_ = false;
    /// Something was done in the round.
    bool used_ = false;
    bool stream_failed_ = false;
    bool opened_ = false;
    bool closed_ = false;
};

}  // namespace godwit::sim
