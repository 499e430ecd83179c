#include "sim/sim_direct_sender.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "sim/sim_channel.h"
#include "stream/format.h"

namespace godwit::sim {

void SimDirectSender::stream_written(std::uint64_t last_word) {
    if (in_round_ && used_) {
        world_.violation("the stream goes on within a round of pages that go past it");
    }
    in_round_ = last_word == format::ram_flag::direct;
    used_ = false;
}

void SimDirectSender::expect_round(const char* what) {
    if (closed_) {
        world_.violation(fmt::format("{} after the way past the stream was closed", what));
    }
    if (!in_round_ && !stream_failed_ && !error_) {
        world_.violation(fmt::format("{} outside of a round", what));
    }
    used_ = true;
}

Status SimDirectSender::keep(Status status) {
    if (!status && !error_) {
        world_.trace("the way past the stream fails: {}", status.error().message);
        error_ = status.error();
    }
    return status;
}

Status SimDirectSender::say(DirectFrame frame, ConstBuffer data, Instant deadline) {
    const ConstBuffer head(reinterpret_cast<const std::byte*>(&frame), sizeof(frame));
    return channel_.write_past({head, data}, deadline, figures_.transferred_bytes);
}

Status SimDirectSender::open(std::span<const RamBlock> blocks, bool pin_all, Instant deadline) {
    world_.expect_no_machine_lock("DirectPageSender::open");
    expect_round("open");
    if (std::exchange(opened_, true)) {
        world_.violation("the way past the stream is opened twice");
    }
    blocks_ = blocks;
    figures_.pin_all = pin_all;
    if (pin_all && plan_.source_cannot_pin) {
        return keep(fail(ErrorCode::cannot_pin, "the source cannot pin its memory"));
    }
    return keep(say_blocks(pin_all, deadline));
}

Status SimDirectSender::say_blocks(bool pin_all, Instant deadline) {
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        const std::string& id = blocks_[i].id;
        const std::uint64_t size = blocks_[i].size.value();
        std::vector<std::byte> data(id.size() + sizeof(size));
        std::memcpy(data.data(), id.data(), id.size());
        std::memcpy(data.data() + id.size(), &size, sizeof(size));
        const DirectFrame frame{DirectFrame::Kind::block, static_cast<std::uint8_t>(i),
                                static_cast<std::uint16_t>(id.size())};
        if (Status said = say(frame, data, deadline); !said) {
            return said;
        }
    }
    if (Status said = say({DirectFrame::Kind::agree, 0, static_cast<std::uint16_t>(pin_all)}, {}, deadline); !said) {
        return said;
    }
    if (pin_all && memory_ != nullptr) {
        for (std::size_t i = 0; i < blocks_.size(); ++i) {
            memory_->pin(i, 0, memory_->pages(i), true);
        }
    }
    return channel_.wait_answer(deadline);
}

void SimDirectSender::put(const Put& what) {
    expect_round("a page is put");
    if (error_ || stream_failed_) {
        return;
    }
    if (!put_in_round_.emplace(what.block, what.page).second) {
        world_.violation(fmt::format("page {} of block {} is put twice in a round", what.page, what.block));
    }
    waiting_.push_back(what);
}

Status SimDirectSender::push(Instant deadline) {
    world_.expect_no_machine_lock("DirectPageSender::push");
    expect_round("push");
    if (error_) {
        return fail(*error_);
    }
    const bool late = world_.random().percent(plan_.late_percent);
    const std::uint64_t count = late ? world_.random().below(waiting_.size() + 1) : waiting_.size();
    return keep(send_any(count, deadline));
}

Status SimDirectSender::end_round(Instant deadline) {
    world_.expect_no_machine_lock("DirectPageSender::end_round");
    expect_round("end_round");
    if (error_) {
        return fail(*error_);
    }
    return keep(finish_round(deadline));
}

Status SimDirectSender::finish_round(Instant deadline) {
    if (Status sent = send_any(waiting_.size(), deadline); !sent) {
        return sent;
    }
    if (Status there = channel_.drain(deadline); !there) {
        return there;
    }
    if (Status given = give_something_back(deadline); !given) {
        return given;
    }
    if (Status said = say({DirectFrame::Kind::end_round}, {}, deadline); !said) {
        return said;
    }
    figures_.pages += std::exchange(pages_in_round_, 0U);
    put_in_round_.clear();
    in_round_ = used_ = false;
    return {};
}

/// Writes so many of what was put, whichever come.
Status SimDirectSender::send_any(std::size_t count, Instant deadline) {
    for (; count > 0; --count) {
        const auto index = static_cast<std::size_t>(world_.random().below(waiting_.size()));
        const Put what = waiting_[index];
        waiting_[index] = waiting_.back();
        waiting_.pop_back();
        world_.scheduler().maybe_preempt();
        if (Status sent = send(what, deadline); !sent) {
            return sent;
        }
    }
    return {};
}

Status SimDirectSender::send(const Put& what, Instant deadline) {
    const auto block = static_cast<std::uint8_t>(what.block);
    const auto page = static_cast<std::uint16_t>(what.page);
    if (what.zero) {
        return say({DirectFrame::Kind::zero, block, page}, {}, deadline);
    }
    const DirectChunk chunk{what.block, what.page / plan_.chunk_pages * plan_.chunk_pages};
    if (!figures_.pin_all && !enrolled_.contains(chunk)) {
        if (Status enrolled = enroll(chunk, deadline); !enrolled) {
            return enrolled;
        }
    }
    ++pages_in_round_;
    return say({DirectFrame::Kind::page, block, page},
               {blocks_[what.block].host + offset_of(PageNumber(what.page)).value(), page_bytes}, deadline);
}

std::uint64_t SimDirectSender::pages_of(const DirectChunk& chunk) const {
    return std::min(plan_.chunk_pages, blocks_[chunk.block].size.value() / page_bytes - chunk.first_page);
}

Status SimDirectSender::enroll(const DirectChunk& chunk, Instant deadline) {
    const DirectFrame frame{DirectFrame::Kind::enroll, static_cast<std::uint8_t>(chunk.block),
                            static_cast<std::uint16_t>(chunk.first_page)};
    if (Status said = say(frame, {}, deadline); !said) {
        return said;
    }
    if (Status answered = channel_.wait_answer(deadline); !answered) {
        return answered;
    }
    enrolled_.insert(chunk);
    ++figures_.registrations;
    figures_.registered_bytes += pages_of(chunk) * page_bytes;
    if (memory_ != nullptr) {
        memory_->pin(chunk.block, chunk.first_page, pages_of(chunk), true);
    }
    return {};
}

/// Everything written has arrived.
Status SimDirectSender::give_something_back(Instant deadline) {
    if (enrolled_.empty() || !world_.random().percent(plan_.forget_percent)) {
        return {};
    }
    const auto found =
        std::next(enrolled_.begin(), static_cast<std::ptrdiff_t>(world_.random().below(enrolled_.size())));
    const DirectChunk chunk = *found;
    enrolled_.erase(found);
    figures_.registered_bytes -= pages_of(chunk) * page_bytes;
    if (memory_ != nullptr) {
        memory_->pin(chunk.block, chunk.first_page, pages_of(chunk), false);
    }
    const DirectFrame frame{DirectFrame::Kind::give_back, static_cast<std::uint8_t>(chunk.block),
                            static_cast<std::uint16_t>(chunk.first_page)};
    return say(frame, {}, deadline);
}

void SimDirectSender::close() {
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
