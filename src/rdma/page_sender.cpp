#include "rdma/page_sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "rdma/fabric_error.h"

namespace godwit::rdma {

PageSender::PageSender(ControlConnection& control, std::unique_ptr<Fabric> fabric, const PageTerms& terms)
    : control_(control), terms_(terms), fabric_(std::move(fabric)) {}

PageSender::~PageSender() {
    close();
}

void PageSender::close() {
    // The destination hears that this is the end before it meets the end of the fabric, which UCX may not survive.
    control_.wait_farewell();
    window_.reset();
    chunks_.reset();
    fabric_.reset();
    lock_.reset();
    if (!error_) {
        error_ = Error{ErrorCode::cancelled, "the way for pages is closed"};
    }
}

Status PageSender::keep(Status status) {
    if (!status && !error_) {
        error_ = find_cause(status.error(), control_, terms_.clock);
        status = fail(*error_);
    }
    publish();
    return status;
}

void PageSender::publish() {
    if (!window_ || !chunks_) {
        return;  // closed: the last figures stay
    }
    pages_ = window_->finished_pages();
    transferred_bytes_ = window_->finished_pages() * page_bytes + message_bytes_;
    registrations_ = chunks_->registrations();
    registered_bytes_ = chunks_->registered_bytes();
}

DirectPageFigures PageSender::figures() const {
    return {.transferred_bytes = transferred_bytes_,
            .pages = pages_,
            .registrations = registrations_,
            .registered_bytes = registered_bytes_,
            .pin_all = pinned_,
            .transport = terms_.transport};
}

Status PageSender::send(const Message& message, Instant deadline) {
    Status sent = control_.send(message, deadline);
    if (sent) {
        message_bytes_ += header_bytes + message.payload.size();
    }
    return sent;
}

Result<std::unique_ptr<Message>> PageSender::wait_answer(MessageType type, Instant deadline) {
    Result<std::unique_ptr<Message>> answer = control_.receive_response(deadline);
    if (!answer) {
        return answer;
    }
    if ((*answer)->type != type) {
        return fail(ErrorCode::stream_corrupt, fmt::format("the destination answers with {} instead of {}",
                                                           to_string((*answer)->type), to_string(type)));
    }
    return answer;
}

Result<std::unique_ptr<Message>> PageSender::ask(const Message& request, MessageType answer, Instant deadline) {
    if (Status sent = send(request, deadline); !sent) {
        return fail(sent.error());
    }
    return wait_answer(answer, deadline);
}

Status PageSender::open(std::span<const RamBlock> blocks, bool pin_all, Instant deadline) {
    GODWIT_ASSERT(!chunks_ && fabric_, "the way for pages is opened {}", fabric_ ? "twice" : "after its end");
    blocks_ = blocks;
    pin_all_ = pin_all;
    pinned_ = pin_all;
    if (pin_all && !terms_.can_pin_all) {
        return keep(fail(ErrorCode::unsupported, "the destination cannot pin all memory", "switch rdma-pin-all off"));
    }
    if (blocks.size() > max_blocks) {
        return keep(fail(ErrorCode::unsupported,
                         fmt::format("{} RAM blocks; over RDMA {} can be moved", blocks.size(), max_blocks)));
    }
    chunks_.emplace(*fabric_, blocks, terms_.registration_limit);
    window_.emplace(control_, *fabric_);
    return keep(agree_on_blocks(pin_all, deadline));
}

/// Both sides pin at the same time.
Status PageSender::agree_on_blocks(bool pin_all, Instant deadline) {
    RamBlocksRequest request{.pin_all = pin_all, .blocks = {}};
    std::vector<MutableBuffer> pieces;
    for (const RamBlock& block : blocks_) {
        request.blocks.push_back({block.id, block.size});
        pieces.emplace_back(block.host, block.size.value());
    }
    if (Status sent = send(encode(request), deadline); !sent) {
        return sent;
    }
    if (pin_all) {
        Result<std::unique_ptr<MemoryLock>> locked = MemoryLock::lock(pieces, [this] { return control_.status(); });
        if (!locked) {
            return fail(locked.error());
        }
        lock_ = std::move(*locked);
    }
    // Pinning at the other side takes its time; that it lives, the connection knows.
    Result<std::unique_ptr<Message>> answer = wait_answer(MessageType::ram_blocks_result, pin_all ? never : deadline);
    if (!answer) {
        return fail(answer.error());
    }
    const Result<RamBlocksResult> result = decode_ram_blocks_result(**answer);
    if (!result) {
        return fail(result.error());
    }
    return chunks_->set_blocks(*result, pin_all);
}

void PageSender::put_page(std::size_t block, PageNumber page) {
    const bool begins_chunk = page.value() % chunk_pages == 0;
    if (queued_.empty() || begins_chunk || !queued_.back().extend(block, page)) {
        queued_.push_back({block, page, PageCount(1)});
    }
}

void PageSender::put_zero_page(std::size_t block, PageNumber page) {
    if (zeros_.empty() || !zeros_.back().extend(block, page)) {
        zeros_.push_back({block, page, PageCount(1)});
    }
}

Status PageSender::push(Instant deadline) {
    if (error_) {
        return fail(*error_);
    }
    Status pushed = push_zeros(max_repeat, deadline);
    return keep(pushed ? push_runs(false, deadline) : pushed);
}

Status PageSender::end_round(Instant deadline) {
    if (error_) {
        return fail(*error_);
    }
    return keep(finish_round(deadline));
}

Status PageSender::push_runs(bool with_last, Instant deadline) {
    const std::size_t count = queued_.size() - (with_last || queued_.empty() ? 0 : 1);
    for (std::size_t i = 0; i < count; ++i) {
        if (Status handled = write_or_wait(queued_[i], deadline); !handled) {
            return handled;
        }
    }
    queued_.erase(queued_.begin(), queued_.begin() + static_cast<std::ptrdiff_t>(count));
    return window_->look();
}

Status PageSender::write_or_wait(const PageRun& run, Instant deadline) {
    if (const RemoteMemory* memory = chunks_->memory(run)) {
        return write(run, *memory, deadline);
    }
    waiting_.push_back(run);
    chunks_->want(run.block, run.chunk());
    return chunks_->wants_enough() ? move_registration_on(deadline) : Status();
}

Status PageSender::write(const PageRun& run, const RemoteMemory& memory, Instant deadline) {
    const std::byte* from = blocks_[run.block].host + offset_of(run.first).value();
    round_.pages += run.count.value();
    ++round_.writes;
    return window_->start(run, {from, run.bytes().value()}, chunks_->address(run), memory, deadline);
}

Status PageSender::move_registration_on(Instant deadline) {
    if (chunks_->is_asking()) {
        Result<std::unique_ptr<Message>> answer = wait_answer(MessageType::register_result, deadline);
        if (!answer) {
            return fail(answer.error());
        }
        const Result<std::vector<ChunkKey>> keys = decode_register_result(**answer);
        if (!keys) {
            return fail(keys.error());
        }
        if (Status taken = chunks_->answer(*keys); !taken) {
            return taken;
        }
    }
    if (chunks_->needs_room()) {
        if (Status room = make_room(deadline); !room) {
            return room;
        }
    }
    if (chunks_->wants_any()) {
        if (Status sent = send(encode(MessageType::register_request, chunks_->ask()), deadline); !sent) {
            return sent;
        }
    }
    return write_registered(deadline);
}

/// What waits for one of the chunks that have to go is written before.
Status PageSender::make_room(Instant deadline) {
    if (Status written = write_registered(deadline); !written) {
        return written;
    }
    if (Status flushed = window_->flush(deadline); !flushed) {
        return flushed;
    }
    const Message request = encode(MessageType::unregister_request, chunks_->make_room());
    Result<std::unique_ptr<Message>> done = ask(request, MessageType::unregister_finished, deadline);
    return done ? Status() : fail(done.error());
}

Status PageSender::write_registered(Instant deadline) {
    std::vector<PageRun> still_waiting;
    for (const PageRun& run : waiting_) {
        const RemoteMemory* memory = chunks_->memory(run);
        if (memory == nullptr) {
            still_waiting.push_back(run);
        } else if (Status written = write(run, *memory, deadline); !written) {
            return written;
        }
    }
    waiting_ = std::move(still_waiting);
    return {};
}

/// Sends zero pages while at least `least` ranges are queued.
Status PageSender::push_zeros(std::size_t least, Instant deadline) {
    while (zeros_.size() >= least && !zeros_.empty()) {
        const std::size_t count = std::min<std::size_t>(zeros_.size(), max_repeat);
        std::vector<ZeroRange> ranges;
        for (std::size_t i = 0; i < count; ++i) {
            ranges.push_back(
                {static_cast<std::uint32_t>(zeros_[i].block), offset_of(zeros_[i].first), zeros_[i].bytes()});
        }
        if (Status sent = send(encode(ranges), deadline); !sent) {
            return sent;
        }
        zeros_.erase(zeros_.begin(), zeros_.begin() + static_cast<std::ptrdiff_t>(count));
    }
    return {};
}

Status PageSender::finish_round(Instant deadline) {
    if (Status pushed = push_runs(true, deadline); !pushed) {
        return pushed;
    }
    while (!waiting_.empty()) {
        if (Status moved = move_registration_on(deadline); !moved) {
            return moved;
        }
    }
    if (Status flushed = window_->flush(deadline); !flushed) {
        return flushed;
    }
    if (Status sent = push_zeros(1, deadline); !sent) {
        return sent;
    }
    return send(encode(std::exchange(round_, {})), deadline);
}

}  // namespace godwit::rdma
