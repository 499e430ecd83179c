#include "sim/sim_direct_receiver.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "sim/sim_channel.h"

namespace godwit::sim {
namespace {

/// How long a source that is gone stays unnoticed.
constexpr Duration longest_silence = std::chrono::milliseconds(500);

}  // namespace

Status SimDirectReceiver::serve_round(DirectPageTarget& target) {
    world_.expect_no_machine_lock("DirectPageReceiver::serve_round");
    if (closed_) {
        world_.violation("a round is served after the way past the stream was closed");
    }
    serving_ = true;
    Status served = serve(target);
    if (!served && !landing_.empty()) {
        // What has been on its way may land or not.
        static_cast<void>(land_any(static_cast<std::size_t>(world_.random().below(landing_.size() + 1)), target));
        landing_.clear();
    }
    serving_ = false;
    return served;
}

Status SimDirectReceiver::read(MutableBuffer into) {
    return channel_.read_past(into, longest_silence, figures_.transferred_bytes);
}

Status SimDirectReceiver::serve(DirectPageTarget& target) {
    for (;;) {
        if (!landing_.empty() && world_.random().percent(50)) {
            if (Status landed = land_any(1, target); !landed) {
                return landed;
            }
        }
        DirectFrame frame;
        if (Status got = read({reinterpret_cast<std::byte*>(&frame), sizeof(frame)}); !got) {
            return got;
        }
        if (frame.kind == DirectFrame::Kind::end_round) {
            if (plan_.loses_pages && !landing_.empty()) {
                landing_.pop_back();
            }
            figures_.pages += std::exchange(pages_in_round_, 0U);
            return land_any(landing_.size(), target);
        }
        if (Status handled = handle(frame, target); !handled) {
            return handled;
        }
    }
}

Status SimDirectReceiver::handle(const DirectFrame& frame, DirectPageTarget& target) {
    if (frame.kind == DirectFrame::Kind::block) {
        return read_block(frame, target);
    }
    if (frame.kind == DirectFrame::Kind::agree) {
        return agree(frame.page != 0, target);
    }
    GODWIT_ASSERT(frame.block < blocks_.size(), "block {} of {}", frame.block, blocks_.size());
    const DirectChunk chunk{blocks_[frame.block], frame.page};
    switch (frame.kind) {
        case DirectFrame::Kind::enroll:
            if (Status enrolled = enroll(chunk, pages_of(chunk, target), target); !enrolled) {
                return enrolled;
            }
            return channel_.answer();
        case DirectFrame::Kind::give_back:
            return give_back(chunk, target);
        case DirectFrame::Kind::page:
            return read_page(chunk.block, frame.page);
        default:
            landing_.push_back({chunk.block, frame.page, nullptr});
            return {};
    }
}

Status SimDirectReceiver::read_block(const DirectFrame& frame, DirectPageTarget& target) {
    std::string id(frame.page, '\0');
    std::uint64_t size = 0;
    if (Status got = read(std::as_writable_bytes(std::span(id))); !got) {
        return got;
    }
    if (Status got = read(std::as_writable_bytes(std::span(&size, 1))); !got) {
        return got;
    }
    const Result<std::size_t> found = target.find_block(id, ByteCount(size));
    if (!found) {
        return fail(found.error());
    }
    blocks_.push_back(*found);
    return {};
}

Status SimDirectReceiver::agree(bool pin_all, DirectPageTarget& target) {
    figures_.pin_all = pin_all;
    for (std::size_t i = 0; pin_all && i < blocks_.size(); ++i) {
        const std::uint64_t pages = target.blocks()[blocks_[i]].size.value() / page_bytes;
        if (Status enrolled = enroll({blocks_[i], 0}, pages, target); !enrolled) {
            return enrolled;
        }
    }
    return channel_.answer();
}

std::uint64_t SimDirectReceiver::pages_of(const DirectChunk& chunk, DirectPageTarget& target) const {
    return std::min(plan_.chunk_pages, target.blocks()[chunk.block].size.value() / page_bytes - chunk.first_page);
}

Status SimDirectReceiver::enroll(const DirectChunk& chunk, std::uint64_t pages, DirectPageTarget& target) {
    if (++figures_.registrations == plan_.failing_registration) {
        return fail(ErrorCode::cannot_pin, "the destination cannot pin its memory");
    }
    GODWIT_ASSERT(enrolled_.insert(chunk).second, "chunk {} of block {} is registered twice", chunk.first_page,
                  chunk.block);
    figures_.registered_bytes += pages * page_bytes;
    if (memory_ != nullptr) {
        memory_->pin(chunk.block, chunk.first_page, pages, true);
    }
    target.exposed(chunk.block, PageNumber(chunk.first_page), PageCount(pages));
    return {};
}

Status SimDirectReceiver::give_back(const DirectChunk& chunk, DirectPageTarget& target) {
    if (Status landed = land_any(landing_.size(), target); !landed) {
        return landed;
    }
    enrolled_.erase(chunk);
    figures_.registered_bytes -= pages_of(chunk, target) * page_bytes;
    if (memory_ != nullptr) {
        memory_->pin(chunk.block, chunk.first_page, pages_of(chunk, target), false);
    }
    return {};
}

Status SimDirectReceiver::read_page(std::size_t block, std::uint64_t page) {
    GODWIT_ASSERT(is_registered(block, page), "page {} of block {} comes before it is registered", page, block);
    Landing landing{block, page, std::make_unique<Page>()};
    if (Status got = read(*landing.bytes); !got) {
        return got;
    }
    ++pages_in_round_;
    landing_.push_back(std::move(landing));
    return {};
}

bool SimDirectReceiver::is_registered(std::size_t block, std::uint64_t page) const {
    return figures_.pin_all || enrolled_.contains({block, page / plan_.chunk_pages * plan_.chunk_pages});
}

Status SimDirectReceiver::land_any(std::size_t count, DirectPageTarget& target) {
    while (count > 0 && !landing_.empty()) {
        --count;
        const auto index = static_cast<std::size_t>(world_.random().below(landing_.size()));
        Landing landing = std::move(landing_[index]);
        landing_[index] = std::move(landing_.back());
        landing_.pop_back();
        world_.scheduler().maybe_preempt();
        if (!landing.bytes) {
            if (Status zeroed = land_zeros(std::move(landing), target); !zeroed) {
                return zeroed;
            }
            continue;
        }
        std::memcpy(target.blocks()[landing.block].host + landing.page * page_bytes, landing.bytes->data(), page_bytes);
    }
    return {};
}

/// With those after it, as far as they are alike.
Status SimDirectReceiver::land_zeros(Landing first, DirectPageTarget& target) {
    const bool registered = is_registered(first.block, first.page);
    std::uint64_t count = 1;
    while (world_.random().percent(80)) {
        const std::uint64_t next = first.page + count;
        const auto found = std::find_if(landing_.begin(), landing_.end(), [&](const Landing& other) {
            return other.block == first.block && other.page == next && !other.bytes &&
                   is_registered(other.block, next) == registered;
        });
        if (found == landing_.end()) {
            break;
        }
        *found = std::move(landing_.back());
        landing_.pop_back();
        ++count;
    }
    return target.zero_pages(first.block, PageNumber(first.page), PageCount(count), registered);
}

std::optional<ByteCount> SimDirectReceiver::pin_limit() const {
    return plan_.pin_limit_pages ? std::optional(ByteCount(*plan_.pin_limit_pages * page_bytes)) : std::nullopt;
}

void SimDirectReceiver::close() {
    if (std::exchange(closed_, true)) {
        return;
    }
    world_.trace("closes the way past the stream");
    if (memory_ != nullptr) {
        memory_->unpin_all();
    }
    world_.scheduler().maybe_preempt();
}

}  // namespace godwit::sim
