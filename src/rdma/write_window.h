#pragma once

#include <cstdint>
#include <vector>

#include "rdma/control_connection.h"
#include "rdma/fabric.h"
#include "rdma/page_run.h"

namespace godwit::rdma {

/// The writes that are on their way: a bounded number of them, no two of which touch the same page. The migration
/// thread's.
class WriteWindow {
public:
    static constexpr std::size_t max_writes = 64;
    static constexpr std::uint64_t max_bytes = 8 << 20;  // a slow network has to write them within one deadline

    WriteWindow(ControlConnection& control, Fabric& fabric);

    /// Begins to write `run`; waits first while too much is on its way. Errors: of the fabric and of the connection.
    Status start(const PageRun& run, ConstBuffer from, RemoteAddress to, const RemoteMemory& memory, Instant deadline);
    /// Waits until every write that was started is in the peer's memory.
    Status flush(Instant deadline);
    /// What is finished, without waiting for more.
    Status look();

    std::size_t in_flight() const { return max_writes - free_ids_.size(); }
    /// Pages of finished writes, ever.
    std::uint64_t finished_pages() const { return finished_pages_; }

private:
    static constexpr WriteId flush_id = max_writes;

    template <typename Condition>
    Status wait_until(Condition condition, Instant deadline);
    void retire(WriteId id);

    ControlConnection& control_;
    Fabric& fabric_;
    std::vector<PageRun> runs_;  // by id; no pages: the id is free
    std::vector<WriteId> free_ids_;
    std::vector<WriteId> finished_;  // scratch
    std::uint64_t bytes_in_flight_ = 0;
    std::uint64_t finished_pages_ = 0;
    bool flush_done_ = false;
    /// Something was written since the last flush. The first flush comes in any case: it takes the connection's own
    /// messages to the other side, and UCX aborts a process that gives up a connection while its answer still waits.
    bool unflushed_ = true;
};

}  // namespace godwit::rdma
