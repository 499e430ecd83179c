#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "godwit/guest_memory.h"
#include "godwit/units.h"

namespace godwit {

/// A channel may offer a way for pages that does not lead through its stream: the source writes them straight into the
/// destination's memory (RDMA). The stream says when: a record in a RAM section begins a round, and while a round lasts
/// the stream is silent. `docs/rdma.md` has the order of events.

/// What the direct way has done so far.
struct DirectPageFigures {
    /// Pages' bytes that are in the destination's memory, with the messages about them.
    std::uint64_t transferred_bytes = 0;
    /// Pages that were written whole.
    std::uint64_t pages = 0;
    /// How often the destination has registered a chunk (or, with everything pinned, a block).
    std::uint64_t registrations = 0;
    /// What it has registered now; at the end, what it had.
    std::uint64_t registered_bytes = 0;
    /// All memory is registered from the beginning.
    bool pin_all = false;
    /// How pages travel: a name that the channel chooses ("shm").
    std::string_view transport = "none";
};

/// The source's end. The migration thread's, except where it says otherwise. The first error sticks: after it nothing
/// is written, and each call that can fail gives it again. A deadline is for the whole call, so no more than some
/// megabytes may be left to write in one.
class DirectPageSender {
public:
    virtual ~DirectPageSender() = default;

    /// In the round of the setup, before any page: tells the destination which blocks come, in this order, and learns
    /// where they lie there. `pin_all` registers everything at once, on both sides. The blocks stay mapped until this
    /// object is destroyed. Errors: `cannot_pin`; `ram_mismatch` in the peer's words; those of the channel.
    virtual Status open(std::span<const RamBlock> blocks, bool pin_all, Instant deadline) = 0;

    /// Queue pages; neighbours are joined. Between `put_page` and the end of the round the page is read at any time.
    /// No page is put twice in one round.
    virtual void put_page(std::size_t block, PageNumber page) = 0;
    virtual void put_zero_page(std::size_t block, PageNumber page) = 0;
    /// Begins to write what is queued, and waits while too much is on its way.
    virtual Status push(Instant deadline) = 0;
    /// Returns when everything put is in the destination's memory, and has told the destination that the round is over.
    virtual Status end_round(Instant deadline) = 0;

    /// Gives back what was registered and pinned; nothing may be put any more. Idempotent.
    virtual void close() = 0;

    /// Any thread.
    virtual DirectPageFigures figures() const = 0;
};

/// What a source asks of the destination's memory. Called within `serve_round`. Blocks are indices in the
/// destination's own list; pages have been checked to lie within the block.
class DirectPageTarget {
public:
    virtual ~DirectPageTarget() = default;
    /// The block of this name, which must have this size. Errors: `ram_mismatch`.
    virtual Result<std::size_t> find_block(std::string_view id, ByteCount size) = 0;
    virtual std::span<const RamBlock> blocks() const = 0;
    /// From now on the source may write to these pages at any time within a round.
    virtual void exposed(std::size_t block, PageNumber first, PageCount count) = 0;
    /// These pages read as zeros at the source. `registered`: a device may hold their addresses, so they have to stay
    /// where they are.
    virtual Status zero_pages(std::size_t block, PageNumber first, PageCount count, bool registered) = 0;
};

/// The destination's end. The loading thread's, except where it says otherwise.
class DirectPageReceiver {
public:
    virtual ~DirectPageReceiver() = default;
    /// Answers the source until it says that the round is over; then all its writes are in memory. However long that
    /// takes: the channel notices a source that is gone. Errors: `stream_corrupt` for what breaks the protocol,
    /// `cannot_pin`, those of the target and of the channel.
    virtual Status serve_round(DirectPageTarget& target) = 0;
    /// Gives back what was registered and pinned. Idempotent.
    virtual void close() = 0;
    /// How many bytes may be pinned here; absent: as many as there are.
    virtual std::optional<ByteCount> pin_limit() const = 0;
    /// Any thread. `transferred_bytes` is what the source said of itself.
    virtual DirectPageFigures figures() const = 0;
};

}  // namespace godwit
