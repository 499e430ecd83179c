#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "godwit/channel.h"

namespace godwit::rdma {

/// Appends big-endian numbers to a payload.
class PayloadWriter {
public:
    explicit PayloadWriter(std::vector<std::byte>& payload) : payload_(payload) {}

    template <typename Integer>
    void put(Integer value) {
        for (std::size_t i = sizeof(Integer); i-- > 0;) {
            payload_.push_back(static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xff));
        }
    }
    void put_bytes(ConstBuffer bytes) { payload_.insert(payload_.end(), bytes.begin(), bytes.end()); }
    void put_text(std::string_view text) { put_bytes(std::as_bytes(std::span(text))); }

private:
    std::vector<std::byte>& payload_;
};

/// Takes big-endian numbers from a payload. What is asked for beyond its end is zeros, and `ok` is false from then on.
class PayloadReader {
public:
    explicit PayloadReader(ConstBuffer payload) : rest_(payload) {}

    template <typename Integer>
    Integer get() {
        std::uint64_t value = 0;
        for (const std::byte byte : get_bytes(sizeof(Integer))) {
            value = value << 8U | std::to_integer<std::uint64_t>(byte);
        }
        return static_cast<Integer>(value);
    }
    /// Empty when there are not so many.
    ConstBuffer get_bytes(std::size_t count) {
        if (count > rest_.size()) {
            ok_ = false;
            rest_ = {};
            return {};
        }
        const ConstBuffer bytes = rest_.first(count);
        rest_ = rest_.subspan(count);
        return bytes;
    }
    bool ok() const { return ok_; }
    /// Everything has been taken, and nothing beyond.
    bool complete() const { return ok_ && rest_.empty(); }

private:
    ConstBuffer rest_;
    bool ok_ = true;
};

}  // namespace godwit::rdma
