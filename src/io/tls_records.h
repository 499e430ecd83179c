#pragma once

#include <algorithm>
#include <cstddef>

#include "godwit/channel.h"

namespace godwit {

/// Follows the records of a TLS connection by their heads, which are never encrypted: a connection that ends between
/// two was closed, perhaps by its peer; one that ends in the middle of one was torn.
class TlsRecordTracker {
public:
    void pass(ConstBuffer bytes) {
        while (!bytes.empty()) {
            if (content_left_ != 0) {
                const std::size_t part = std::min(content_left_, bytes.size());
                content_left_ -= part;
                bytes = bytes.subspan(part);
                continue;
            }
            // The last two bytes of a head are the length of what follows.
            if (head_filled_ >= head_bytes - 2) {
                announced_ = announced_ << 8 | static_cast<std::size_t>(bytes.front());
            }
            bytes = bytes.subspan(1);
            if (++head_filled_ == head_bytes) {
                content_left_ = announced_;
                announced_ = 0;
                head_filled_ = 0;
            }
        }
    }
    bool is_between() const { return head_filled_ == 0 && content_left_ == 0; }

private:
    static constexpr std::size_t head_bytes = 5;

    std::size_t head_filled_ = 0;
    std::size_t announced_ = 0;
    std::size_t content_left_ = 0;
};

}  // namespace godwit
