#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <set>
#include <vector>

#include "godwit/channel.h"
#include "godwit/direct_pages.h"
#include "sim/direct_frame.h"
#include "sim/direct_plan.h"
#include "sim/sim_memory.h"

namespace godwit::sim {

class SimChannel;

/// The destination's end of the way past the stream. What the source writes lands in memory at any time within the
/// round, in any order.
class SimDirectReceiver : public DirectPageReceiver {
public:
    SimDirectReceiver(World& world, SimChannel& channel, const DirectPlan& plan, SimMemory* memory)
        : world_(world), channel_(channel), plan_(plan), memory_(memory) {}

    Status serve_round(DirectPageTarget& target) override;
    void close() override;
    std::optional<ByteCount> pin_limit() const override;
    DirectPageFigures figures() const override { return figures_; }

    bool serving() const { return serving_; }
    bool closed() const { return closed_; }

private:
    using Page = std::array<std::byte, page_bytes>;
    /// On its way into memory.
    struct Landing {
        std::size_t block;
        std::uint64_t page;
        std::unique_ptr<Page> bytes;  // none: zeros
    };

    Status serve(DirectPageTarget& target);
    Status handle(const DirectFrame& frame, DirectPageTarget& target);
    Status read(MutableBuffer into);
    Status read_block(const DirectFrame& frame, DirectPageTarget& target);
    Status read_page(std::size_t block, std::uint64_t page);
    Status agree(bool pin_all, DirectPageTarget& target);
    Status enroll(const DirectChunk& chunk, std::uint64_t pages, DirectPageTarget& target);
    Status give_back(const DirectChunk& chunk, DirectPageTarget& target);
    Status land_any(std::size_t count, DirectPageTarget& target);
    Status land_zeros(Landing first, DirectPageTarget& target);
    bool is_registered(std::size_t block, std::uint64_t page) const;
    std::uint64_t pages_of(const DirectChunk& chunk, DirectPageTarget& target) const;

    World& world_;
    SimChannel& channel_;
    const DirectPlan plan_;
    SimMemory* memory_;
    std::vector<std::size_t> blocks_;  // this side's numbers of the source's blocks
    std::set<DirectChunk> enrolled_;   // by this side's numbers
    std::vector<Landing> landing_;
    DirectPageFigures figures_;
    std::uint64_t pages_in_round_ = 0;
    bool serving_ = false;
    bool closed_ = false;
};

}  // namespace godwit::sim
