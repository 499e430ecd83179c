#include "rdma/write_window.h"

#include <algorithm>

#include "base/assert.h"

namespace godwit::rdma {

namespace {

/// A write over shared memory is finished at once, one over a fast network within microseconds: sooner than a thread
/// could fall asleep and wake.
constexpr int looks_before_sleep = 200;

}  // namespace

WriteWindow::WriteWindow(ControlConnection& control, Fabric& fabric)
    : control_(control), fabric_(fabric), runs_(max_writes) {
    for (WriteId id = max_writes; id-- > 0;) {
        free_ids_.push_back(id);
    }
}

Status WriteWindow::start(const PageRun& run, ConstBuffer from, RemoteAddress to, const RemoteMemory& memory,
                          Instant deadline) {
    GODWIT_ASSERT(from.size() == run.bytes().value() && run.count.value() > 0, "a write of {} bytes for {} pages",
                  from.size(), run.count.value());
    if (Status room = wait_until(
            [&] {
                return !free_ids_.empty() && (in_flight() == 0 || bytes_in_flight_ + run.bytes().value() <= max_bytes);
            },
            deadline);
        !room) {
        return room;
    }
    // A fabric whose writes are finished at once never waits: then a cancel, or a peer that gives up, is noticed here.
    if (Status fine = control_.status(); !fine) {
        return fine;
    }
    for (const PageRun& other : runs_) {
        GODWIT_ASSERT(!run.overlaps(other), "pages {}+{} of block {} are written twice at the same time",
                      run.first.value(), run.count.value(), run.block);
    }
    const WriteId id = free_ids_.back();
    free_ids_.pop_back();
    runs_[id] = run;
    bytes_in_flight_ += run.bytes().value();
    unflushed_ = true;
    if (Status started = fabric_.start_write(from, to, memory, id); !started) {
        return started;
    }
    return look();
}

Status WriteWindow::flush(Instant deadline) {
    if (!unflushed_) {
        return {};
    }
    flush_done_ = false;
    if (Status started = fabric_.start_flush(flush_id); !started) {
        return started;
    }
    if (Status flushed = wait_until([&] { return flush_done_ && in_flight() == 0; }, deadline); !flushed) {
        return flushed;
    }
    unflushed_ = false;
    return {};
}

Status WriteWindow::look() {
    finished_.clear();
    Result<bool> moved = fabric_.progress(finished_);
    for (const WriteId id : finished_) {
        retire(id);
    }
    return moved ? Status() : fail(moved.error());
}

void WriteWindow::retire(WriteId id) {
    if (id == flush_id) {
        flush_done_ = true;
        return;
    }
    GODWIT_ASSERT(id < max_writes && runs_[id].count.value() > 0, "the end of write {}, which was not begun", id);
    finished_pages_ += runs_[id].count.value();
    bytes_in_flight_ -= runs_[id].bytes().value();
    runs_[id] = {};
    free_ids_.push_back(id);
}

template <typename Condition>
Status WriteWindow::wait_until(Condition condition, Instant deadline) {
    for (int looks = 0; !condition(); ++looks) {
        if (Status looked = look(); !looked) {
            return looked;
        }
        if (looks < looks_before_sleep || condition()) {
            continue;
        }
        if (Status fine = control_.status(); !fine) {
            return fine;
        }
        if (!fabric_.arm()) {
            continue;
        }
        if (Status ready = control_.wait_readable(fabric_.descriptor(), deadline); !ready) {
            return ready;
        }
    }
    return {};
}

}  // namespace godwit::rdma
