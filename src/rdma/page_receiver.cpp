#include "rdma/page_receiver.h"

#include <fmt/format.h>

#include <utility>

namespace godwit::rdma {

PageReceiver::PageReceiver(ControlConnection& control, std::unique_ptr<Fabric> fabric, const PageTerms& terms)
    : control_(control), terms_(terms), fabric_(std::move(fabric)) {
    memory_.emplace(
        *fabric_, terms.registration_limit, [this] { return control_.status(); }, terms.helper);
}

PageReceiver::~PageReceiver() {
    close();
}

void PageReceiver::close() {
    if (fabric_) {
        // A source that has not heard of the end may still write, and memory may become something else from now on.
        control_.wait_farewell();
    }
    memory_.reset();
    fabric_.reset();
}

std::optional<ByteCount> PageReceiver::pin_limit() const {
    std::optional<ByteCount> limit;
    run_by(terms_.helper.get(), [&] { limit = rdma::pin_limit(); });
    return limit;
}

DirectPageFigures PageReceiver::figures() const {
    return {.transferred_bytes = transferred_bytes_,
            .pages = pages_,
            .registrations = registrations_,
            .registered_bytes = registered_bytes_,
            .pin_all = pin_all_,
            .transport = terms_.transport};
}

void PageReceiver::publish() {
    registrations_ = memory_->registrations();
    registered_bytes_ = memory_->registered_bytes();
    transferred_bytes_ = pages_ * page_bytes + message_bytes_;
}

Status PageReceiver::serve_round(DirectPageTarget& target) {
    if (!memory_) {
        return fail(ErrorCode::cancelled, "the way for pages is closed");
    }
    for (bool over = false; !over;) {
        const Result<Message*> message = next_message();
        if (!message) {
            return fail(message.error());
        }
        message_bytes_ += header_bytes + (*message)->payload.size();
        over = (*message)->type == MessageType::register_finished;
        Status handled = handle(**message, target);
        publish();
        if (handled) {
            handled = control_.done();
        }
        if (!handled) {
            return handled;
        }
    }
    return {};
}

/// Keeps the fabric going meanwhile: writes may need this side's help. Before each step what has come from the source
/// is heard, for UCX over tcp can end the process when it works for a source that is gone.
Result<Message*> PageReceiver::next_message() {
    for (;;) {
        if (!control_.settle()) {
            return control_.receive(never);  // the last message, or the error
        }
        const Result<bool> moved = fabric_->progress(finished_);
        if (!moved) {
            return fail(moved.error());
        }
        if (*moved || !fabric_->arm()) {
            continue;
        }
        Result<Message*> message = control_.receive(never, fabric_->descriptor());
        if (!message || *message != nullptr) {
            return message;
        }
    }
}

Status PageReceiver::handle(const Message& message, DirectPageTarget& target) {
    if (memory_->has_blocks() == (message.type == MessageType::ram_blocks_request)) {
        return corrupt_message(message.type, memory_->has_blocks() ? "the RAM blocks are known already"
                                                                   : "it comes before the RAM blocks are known");
    }
    switch (message.type) {
        case MessageType::ram_blocks_request:
            return find_blocks(message, target);
        case MessageType::compress:
            return make_zero(message, target);
        case MessageType::register_request:
            return register_chunks(message, target);
        case MessageType::unregister_request:
            return unregister_chunks(message);
        case MessageType::register_finished:
            return finish_round(message);
        default:
            return corrupt_message(message.type, "not while pages are written");
    }
}

Status PageReceiver::find_blocks(const Message& message, DirectPageTarget& target) {
    const Result<RamBlocksRequest> request = decode_ram_blocks_request(message);
    if (!request) {
        return fail(request.error());
    }
    pin_all_ = request->pin_all;
    const Result<RamBlocksResult> blocks = memory_->add_blocks(*request, target);
    return blocks ? control_.send(encode(*blocks), never) : fail(blocks.error());
}

Status PageReceiver::make_zero(const Message& message, DirectPageTarget& target) {
    const Result<std::vector<ZeroRange>> ranges = decode_compress(message);
    if (!ranges) {
        return fail(ranges.error());
    }
    for (const ZeroRange& range : *ranges) {
        if (Status fits = memory_->check(range); !fits) {
            return fits;
        }
        const std::uint64_t end = (range.offset.value() + range.length.value()) / page_bytes;
        for (PageNumber page = page_at(range.offset); page.value() < end;) {
            const ExposedMemory::Piece piece = memory_->piece(range, page);
            if (Status made = target.zero_pages(piece.index, piece.first, piece.count, piece.registered); !made) {
                return made;
            }
            if (Status fine = control_.status(); !fine) {
                return fine;
            }
            page += PageNumber(piece.count.value());
        }
    }
    return {};
}

Status PageReceiver::register_chunks(const Message& message, DirectPageTarget& target) {
    const Result<std::vector<ChunkRange>> ranges = decode_chunk_ranges(message);
    if (!ranges) {
        return fail(ranges.error());
    }
    const Result<std::vector<ChunkKey>> keys = memory_->register_chunks(*ranges, target);
    return keys ? control_.send(encode(*keys), never) : fail(keys.error());
}

Status PageReceiver::unregister_chunks(const Message& message) {
    const Result<std::vector<ChunkRange>> ranges = decode_chunk_ranges(message);
    if (!ranges) {
        return fail(ranges.error());
    }
    const Status done = memory_->unregister_chunks(*ranges);
    return done ? control_.send(make_message(MessageType::unregister_finished), never) : done;
}

Status PageReceiver::finish_round(const Message& message) {
    const Result<RoundFigures> figures = decode_register_finished(message);
    if (!figures) {
        return fail(figures.error());
    }
    pages_ += figures->pages;
    return {};
}

}  // namespace godwit::rdma
