#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "godwit/direct_pages.h"
#include "rdma/control_connection.h"
#include "rdma/fabric.h"
#include "rdma/memory_lock.h"
#include "rdma/page_run.h"
#include "rdma/page_terms.h"
#include "rdma/remote_chunks.h"
#include "rdma/write_window.h"

namespace godwit::rdma {

/// The source's end of the direct way. Pages become runs within chunks; a run is written once its chunk is registered
/// at the destination. Registrations are asked for in batches: while the destination registers one, the pages of the
/// one before are written.
class PageSender : public DirectPageSender {
public:
    /// `control` outlives this; `fabric` is connected.
    PageSender(ControlConnection& control, std::unique_ptr<Fabric> fabric, const PageTerms& terms = {});
    ~PageSender() override;

    Status open(std::span<const RamBlock> blocks, bool pin_all, Instant deadline) override;
    void put_page(std::size_t block, PageNumber page) override;
    void put_zero_page(std::size_t block, PageNumber page) override;
    Status push(Instant deadline) override;
    Status end_round(Instant deadline) override;
    void close() override;
    DirectPageFigures figures() const override;

private:
    Status keep(Status status);
    Status send(const Message& message, Instant deadline);
    Result<std::unique_ptr<Message>> ask(const Message& request, MessageType answer, Instant deadline);
    Result<std::unique_ptr<Message>> wait_answer(MessageType type, Instant deadline);
    Status agree_on_blocks(bool pin_all, Instant deadline);

    Status push_runs(bool with_last, Instant deadline);
    Status write_or_wait(const PageRun& run, Instant deadline);
    Status write(const PageRun& run, const RemoteMemory& memory, Instant deadline);
    Status write_registered(Instant deadline);
    /// Takes the keys that were asked for, asks for those that are wanted, and writes what can be written.
    Status move_registration_on(Instant deadline);
    Status make_room(Instant deadline);
    Status push_zeros(std::size_t least, Instant deadline);
    Status finish_round(Instant deadline);
    void publish();

    ControlConnection& control_;
    const PageTerms terms_;
    std::unique_ptr<Fabric> fabric_;
    std::span<const RamBlock> blocks_;
    std::unique_ptr<MemoryLock> lock_;
    // These use the fabric: they go before it.
    std::optional<RemoteChunks> chunks_;
    std::optional<WriteWindow> window_;

    std::vector<PageRun> queued_;   // in the order of their addresses; the last may still grow
    std::vector<PageRun> waiting_;  // for their chunks
    std::vector<PageRun> zeros_;
    RoundFigures round_;
    std::uint64_t message_bytes_ = 0;
    std::optional<Error> error_;
    bool pin_all_ = false;

    // Written by the migration thread, read by any.
    std::atomic<std::uint64_t> transferred_bytes_{0};
    std::atomic<std::uint64_t> pages_{0};
    std::atomic<std::uint64_t> registrations_{0};
    std::atomic<std::uint64_t> registered_bytes_{0};
    std::atomic<bool> pinned_{false};
};

}  // namespace godwit::rdma
