#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "godwit/guest_memory.h"
#include "rdma/control_connection.h"
#include "rdma/fabric.h"
#include "rdma/message_parser.h"

namespace godwit::fuzz {

/// A fabric that never moves a byte: it checks what it is asked for. All memory it sees lies within `blocks`.
class FuzzFabric : public Fabric {
public:
    explicit FuzzFabric(std::span<const RamBlock> blocks) : blocks_(blocks) {}
    ~FuzzFabric() override { GODWIT_ASSERT(alive_ == 0, "{} registrations and keys outlive the fabric", alive_); }

    ConstBuffer address() const override { return address_; }
    Status connect(ConstBuffer) override { return {}; }
    Result<std::unique_ptr<RegisteredMemory>> register_memory(MutableBuffer memory) override {
        check_within(memory);
        return std::make_unique<Registered>(*this);
    }
    /// As with a real one, some keys are none.
    Result<std::unique_ptr<RemoteMemory>> open_key(ConstBuffer key) override {
        GODWIT_ASSERT(key.size() <= max_key_bytes, "a key of {} bytes", key.size());
        if (key.empty() || key.front() == std::byte{0xff}) {
            return fail(ErrorCode::io, "this is no key");
        }
        return std::make_unique<Remote>(*this);
    }
    Status start_write(ConstBuffer from, RemoteAddress, const RemoteMemory&, WriteId id) override {
        check_within(from);
        GODWIT_ASSERT(from.size() <= rdma::chunk_bytes, "a write of {} bytes", from.size());
        finished_.push_back(id);
        return {};
    }
    Status start_flush(WriteId id) override {
        finished_.push_back(id);
        return {};
    }
    Result<bool> progress(std::vector<WriteId>& finished) override {
        finished.insert(finished.end(), finished_.begin(), finished_.end());
        return !std::exchange(finished_, {}).empty();
    }
    int descriptor() const override { return -1; }
    bool arm() override { return finished_.empty(); }

private:
    struct Counted {
        explicit Counted(FuzzFabric& in_fabric) : fabric(in_fabric) { ++fabric.alive_; }
        ~Counted() { --fabric.alive_; }
        Counted(const Counted&) = delete;
        Counted& operator=(const Counted&) = delete;
        FuzzFabric& fabric;
    };
    struct Registered : RegisteredMemory {
        explicit Registered(FuzzFabric& fabric) : counted(fabric) {}
        ConstBuffer key() const override { return counted.fabric.address_; }
        Counted counted;
    };
    struct Remote : RemoteMemory {
        explicit Remote(FuzzFabric& fabric) : counted(fabric) {}
        Counted counted;
    };

    void check_within(ConstBuffer memory) const {
        GODWIT_ASSERT(!memory.empty() && memory.size() % page_bytes == 0, "{} bytes are not pages", memory.size());
        const bool within = std::ranges::any_of(blocks_, [&](const RamBlock& block) {
            return memory.data() >= block.host && memory.data() + memory.size() <= block.host + block.size.value();
        });
        GODWIT_ASSERT(within, "{} bytes that are not the guest's", memory.size());
    }

    const std::span<const RamBlock> blocks_;
    const std::array<std::byte, 4> address_{std::byte{1}};
    std::vector<WriteId> finished_;
    int alive_ = 0;
};

/// A control connection whose peer sends the fuzzer's bytes, through the real parser: all of them are there when they
/// are waited for, and then the peer closes. The rules of the flow control are those of the real one; what is sent is
/// checked to be what a peer can read.
class FuzzControl : public rdma::ControlConnection, private rdma::MessageSink {
public:
    FuzzControl(std::span<const std::byte> bytes, std::size_t piece_bytes) : rest_(bytes), piece_bytes_(piece_bytes) {}

    Status send(const rdma::Message& message, Instant) override {
        std::array<std::byte, rdma::header_bytes> header{};
        encode(rdma::Header{static_cast<std::uint32_t>(message.payload.size()), message.type, message.repeat}, header);
        GODWIT_ASSERT(rdma::decode_header(header).has_value(), "{} that no peer takes", to_string(message.type));
        const bool is_request = needs_ready(message.type) && message.type != rdma::MessageType::end_of_stream &&
                                message.type != rdma::MessageType::compress &&
                                message.type != rdma::MessageType::register_finished;
        answers_due_ += is_request ? 1 : 0;
        return status_;
    }
    Result<std::size_t> send_stream(std::span<const ConstBuffer> buffers, Instant) override {
        std::size_t bytes = 0;
        for (const ConstBuffer& buffer : buffers) {
            bytes += buffer.size();
        }
        GODWIT_ASSERT(bytes != 0, "a write of nothing");
        return status_ ? Result<std::size_t>(bytes) : fail(status_.error());
    }
    Status wait_used(Instant) override { return status_; }
    Result<rdma::Message*> receive(Instant, int) override {
        hear_until([this] { return message_.has_value(); });
        return message_ ? Result<rdma::Message*>(&*message_) : fail(status_.error());
    }
    Status done() override {
        GODWIT_ASSERT(message_, "there is no message that could be used up");
        message_.reset();
        return status_;
    }
    Result<std::unique_ptr<rdma::Message>> receive_response(Instant) override {
        hear_until([this] { return response_ != nullptr; });
        return response_ ? Result<std::unique_ptr<rdma::Message>>(std::move(response_)) : fail(status_.error());
    }
    Status wait_readable(int, Instant) override { return status_; }
    Status status() const override { return status_; }
    Status settle() override { return status_; }
    void shut_down(std::string_view) override { end(fail(ErrorCode::cancelled, "given up")); }
    void wait_farewell() override {}

private:
    void end(const Status& status) {
        if (status_) {
            status_ = status;
        }
    }
    /// Never past the end of a message, so that the next comes only when it is waited for.
    template <typename Condition>
    void hear_until(Condition condition) {
        while (status_ && !condition()) {
            if (rest_.empty()) {
                return end(fail(ErrorCode::peer_closed, "closed by the fuzzer"));
            }
            const std::size_t count = std::min({rest_.size(), message_rest_bytes_, piece_bytes_});
            const ConstBuffer piece = rest_.first(count);
            rest_ = rest_.subspan(count);
            message_rest_bytes_ -= count;
            end(parser_.feed(piece));
            if (message_rest_bytes_ == 0) {
                message_rest_bytes_ = rdma::header_bytes;
            }
        }
    }
    Status begins(const rdma::Header& header) override {
        message_rest_bytes_ = header.payload_bytes;
        if (needs_ready(header.type) && message_) {
            return fail(ErrorCode::stream_corrupt, "a message without READY");
        }
        if (is_response(header.type) && (answers_due_-- == 0 || response_)) {
            return fail(ErrorCode::stream_corrupt, "an answer that nobody asked for");
        }
        return {};
    }
    Status arrived(rdma::Message message) override {
        if (message.type == rdma::MessageType::error) {
            return fail(ErrorCode::peer_closed, "the peer gave up: " + decode_error(message));
        }
        if (needs_ready(message.type)) {
            message_ = std::move(message);
        } else if (is_response(message.type)) {
            response_ = std::make_unique<rdma::Message>(std::move(message));
        }
        return {};
    }

    std::span<const std::byte> rest_;
    const std::size_t piece_bytes_;
    std::size_t message_rest_bytes_ = rdma::header_bytes;
    rdma::MessageParser parser_{*this};
    std::optional<rdma::Message> message_;
    std::unique_ptr<rdma::Message> response_;
    int answers_due_ = 0;
    Status status_;
};

}  // namespace godwit::fuzz
