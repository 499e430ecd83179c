#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "godwit/direct_pages.h"
#include "rdma/control_connection.h"
#include "rdma/exposed_memory.h"
#include "rdma/fabric.h"
#include "rdma/messages.h"
#include "rdma/page_terms.h"

namespace godwit::rdma {

/// The destination's end of the direct way: answers the source's messages about pages, and keeps the fabric going while
/// the source writes.
class PageReceiver : public DirectPageReceiver {
public:
    /// `control` outlives this.
    PageReceiver(ControlConnection& control, std::unique_ptr<Fabric> fabric, const PageTerms& terms = {});
    ~PageReceiver() override;

    Status serve_round(DirectPageTarget& target) override;
    void close() override;
    std::optional<ByteCount> pin_limit() const override;
    DirectPageFigures figures() const override;

private:
    Result<Message*> next_message();
    Status handle(const Message& message, DirectPageTarget& target);
    Status find_blocks(const Message& message, DirectPageTarget& target);
    Status make_zero(const Message& message, DirectPageTarget& target);
    Status register_chunks(const Message& message, DirectPageTarget& target);
    Status unregister_chunks(const Message& message);
    Status finish_round(const Message& message);
    void publish();

    ControlConnection& control_;
    const PageTerms terms_;
    std::unique_ptr<Fabric> fabric_;
    std::optional<ExposedMemory> memory_;  // uses the fabric: goes before it
    std::uint64_t message_bytes_ = 0;
    std::vector<WriteId> finished_;  // scratch; a destination writes nothing

    // Written by the loading thread, read by any.
    std::atomic<std::uint64_t> transferred_bytes_{0};
    std::atomic<std::uint64_t> pages_{0};
    std::atomic<std::uint64_t> registrations_{0};
    std::atomic<std::uint64_t> registered_bytes_{0};
    std::atomic<bool> pin_all_{false};
};

}  // namespace godwit::rdma
