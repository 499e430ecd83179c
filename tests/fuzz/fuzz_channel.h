#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "base/assert.h"
#include "godwit/channel.h"

namespace godwit::fuzz {

/// How a connection behaves, chosen by one byte of the input.
struct Conduct {
    enum class End { orderly, reset, silence };

    bool bidirectional = false;
    End end = End::orderly;
    std::size_t bytes_per_read = std::numeric_limits<std::size_t>::max();

    static Conduct from(std::uint8_t choice) {
        static constexpr std::array ends{End::orderly, End::reset, End::silence, End::orderly};
        static constexpr std::array<std::size_t, 4> sizes{std::numeric_limits<std::size_t>::max(), 1, 7, 4099};
        return Conduct{(choice & 1U) != 0, ends.at((choice >> 1U) & 3U), sizes.at((choice >> 3U) & 3U)};
    }
};

/// Delivers the fuzzer's bytes and keeps what is answered.
class FuzzChannel : public Channel {
public:
    FuzzChannel(std::span<const std::byte> bytes, Conduct conduct, std::vector<std::byte>& answers)
        : bytes_(bytes), conduct_(conduct), answers_(answers) {
        traits_.bidirectional = conduct.bidirectional;
        traits_.description = "fuzz";
    }

    const ChannelTraits& traits() const override { return traits_; }

    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant) override {
        GODWIT_ASSERT(conduct_.bidirectional, "an answer on a channel that has no way back");
        GODWIT_ASSERT(!buffers.empty() && buffers.size() <= max_gather_buffers, "{} buffers", buffers.size());
        if (given_up_) {
            return fail(ErrorCode::cancelled, "given up");
        }
        std::size_t written = 0;
        for (const ConstBuffer& buffer : buffers) {
            answers_.insert(answers_.end(), buffer.begin(), buffer.end());
            written += buffer.size();
        }
        return written;
    }

    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant) override {
        if (given_up_) {
            return fail(ErrorCode::cancelled, "given up");
        }
        if (read_ == bytes_.size()) {
            return at_the_end();
        }
        std::size_t got = 0;
        for (const MutableBuffer& buffer : buffers) {
            const std::size_t part = std::min({buffer.size(), bytes_.size() - read_, conduct_.bytes_per_read - got});
            if (part > 0) {
                std::memcpy(buffer.data(), bytes_.data() + read_, part);
            }
            read_ += part;
            got += part;
        }
        GODWIT_ASSERT(got > 0, "a read into nothing");
        return got;
    }

    Status drain(Instant) override { return {}; }
    Status finish_writing(Instant) override { return {}; }
    void shutdown() override { given_up_ = true; }

private:
    Result<std::size_t> at_the_end() const {
        switch (conduct_.end) {
            case Conduct::End::reset:
                return fail(ErrorCode::peer_closed, "reset by the fuzzer");
            case Conduct::End::silence:
                return fail(ErrorCode::idle_timeout, "silence");
            case Conduct::End::orderly:
                break;
        }
        return 0;
    }

    std::span<const std::byte> bytes_;
    std::size_t read_ = 0;
    Conduct conduct_;
    std::vector<std::byte>& answers_;
    bool given_up_ = false;
    ChannelTraits traits_;
};

}  // namespace godwit::fuzz
