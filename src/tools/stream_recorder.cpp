#include "tools/stream_recorder.h"

#include <algorithm>

#include "base/assert.h"

namespace godwit {

namespace {

/// Fewer are not worth a call.
constexpr std::size_t batch_bytes = 256 * 1024;

}  // namespace

void StreamRecorder::add(ConstBuffer bytes, std::uint64_t decided) {
    if (!status_) {
        return;
    }
    waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
    const std::uint64_t limit = held_from_ ? std::min(*held_from_, decided) : decided;
    if (limit > written_ && limit - written_ >= batch_bytes) {
        write_before(limit);
    }
}

void StreamRecorder::add(ConstBuffer bytes) {
    if (status_) {
        add(bytes, written_ + waiting_.size() + bytes.size());
    }
}

void StreamRecorder::leave_out(std::uint64_t begin, std::uint64_t end) {
    held_from_.reset();
    if (!status_) {
        return;
    }
    write_before(begin);
    const std::size_t count = static_cast<std::size_t>(end - begin);
    GODWIT_ASSERT(!status_ || (written_ == begin && count <= waiting_.size()),
                  "bytes {} to {} are to be left out, {} come next", begin, end, written_);
    if (status_) {
        waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
        written_ = end;
    }
}

void StreamRecorder::write_before(std::uint64_t position) {
    GODWIT_ASSERT(position >= written_ && position - written_ <= waiting_.size(), "byte {} of {} and {}", position,
                  written_, waiting_.size());
    ConstBuffer rest(waiting_.data(), static_cast<std::size_t>(position - written_));
    while (status_ && !rest.empty()) {
        const auto done = file_.write_some({&rest, 1}, never);
        if (!done) {
            status_ = fail(done.error());
            waiting_ = {};
            return;
        }
        rest = rest.subspan(*done);
    }
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(position - written_));
    written_ = position;
}

Status StreamRecorder::finish() {
    held_from_.reset();
    if (status_) {
        write_before(written_ + waiting_.size());
    }
    return status_ ? file_.finish_writing(never) : status_;
}

}  // namespace godwit
