#pragma once

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "io/file_descriptor.h"
#include "io/monotonic_clock.h"
#include "rdma/control_connection.h"
#include "rdma/fabric.h"

namespace godwit::rdma {

/// A network with one-sided writes within one process. Writes are finished late and in any order, and arrive only with
/// a flush; one to memory that is not registered when it arrives is an error, as a device would report it.
class FakeNetwork {
public:
    explicit FakeNetwork(std::uint32_t seed) : random_(seed) {}

    struct Region {
        std::byte* host = nullptr;
        std::size_t bytes = 0;
    };
    std::uint32_t add(MutableBuffer memory) {
        const std::lock_guard lock(mutex_);
        regions_[next_] = {memory.data(), memory.size()};
        return next_++;
    }
    void remove(std::uint32_t key) {
        const std::lock_guard lock(mutex_);
        regions_.erase(key);
    }
    Status copy(std::uint32_t key, RemoteAddress to, ConstBuffer from) {
        const std::lock_guard lock(mutex_);
        const auto found = regions_.find(key);
        if (found == regions_.end()) {
            return fail(ErrorCode::io, "a write to memory that is not registered");
        }
        auto* const target = reinterpret_cast<std::byte*>(to.value);  // NOLINT: an address as it travels
        if (target < found->second.host || target + from.size() > found->second.host + found->second.bytes) {
            return fail(ErrorCode::io, "a write past registered memory");
        }
        std::memcpy(target, from.data(), from.size());
        return {};
    }
    std::uint32_t random(std::uint32_t below) {
        const std::lock_guard lock(mutex_);
        return static_cast<std::uint32_t>(random_() % below);
    }
    std::size_t registered() {
        const std::lock_guard lock(mutex_);
        return regions_.size();
    }

private:
    std::mutex mutex_;
    std::mt19937 random_;
    std::map<std::uint32_t, Region> regions_;
    std::uint32_t next_ = 1;
};

class FakeFabric : public Fabric {
public:
    explicit FakeFabric(FakeNetwork& network)
        : network_(network), address_(4, std::byte{1}), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

    ConstBuffer address() const override { return address_; }
    Status connect(ConstBuffer) override { return {}; }

    Result<std::unique_ptr<RegisteredMemory>> register_memory(MutableBuffer memory) override {
        return std::make_unique<Registered>(network_, network_.add(memory));
    }
    Result<std::unique_ptr<RemoteMemory>> open_key(ConstBuffer key) override {
        std::uint32_t number = 0;
        if (key.size() != sizeof(number)) {
            return fail(ErrorCode::io, "this is no key");
        }
        std::memcpy(&number, key.data(), sizeof(number));
        return std::make_unique<Remote>(number);
    }

    Status start_write(ConstBuffer from, RemoteAddress to, const RemoteMemory& memory, WriteId id) override {
        under_way_.push_back({id, from, to, static_cast<const Remote&>(memory).key});
        most_under_way_ = std::max(most_under_way_, under_way_.size());
        ++writes_;
        return {};
    }
    Status start_flush(WriteId id) override {
        GODWIT_ASSERT(!flush_, "a flush within a flush{}", "");
        flush_ = id;
        ++flushes_;
        return {};
    }
    Result<bool> progress(std::vector<WriteId>& finished) override {
        if (under_way_.empty() && !flush_) {
            return false;
        }
        if (under_way_.empty()) {
            finished.push_back(*std::exchange(flush_, std::nullopt));
            return land_all();
        }
        const auto which = under_way_.begin() + network_.random(static_cast<std::uint32_t>(under_way_.size()));
        Write& write = *which;
        // The source's buffer may be written to again from now on, but the destination has the bytes only after a
        // flush.
        write.sent.assign(write.from.begin(), write.from.end());
        finished.push_back(write.id);
        landing_.push_back(std::move(write));
        under_way_.erase(which);
        return true;
    }
    int descriptor() const override { return event_.get(); }
    bool arm() override { return under_way_.empty() && !flush_; }
    /// Writes that the destination does not have yet, though they are finished here.
    std::size_t landing() const { return landing_.size(); }

    std::size_t writes() const { return writes_; }
    std::size_t flushes() const { return flushes_; }
    std::size_t most_under_way() const { return most_under_way_; }

private:
    struct Registered : RegisteredMemory {
        Registered(FakeNetwork& in_network, std::uint32_t number) : network(in_network), bytes(sizeof(number)) {
            std::memcpy(bytes.data(), &number, sizeof(number));
        }
        ~Registered() override {
            std::uint32_t number = 0;
            std::memcpy(&number, bytes.data(), sizeof(number));
            network.remove(number);
        }
        ConstBuffer key() const override { return bytes; }
        FakeNetwork& network;
        std::vector<std::byte> bytes;
    };
    struct Remote : RemoteMemory {
        explicit Remote(std::uint32_t number) : key(number) {}
        std::uint32_t key;
    };
    struct Write {
        WriteId id = 0;
        ConstBuffer from;
        RemoteAddress to;
        std::uint32_t key = 0;
        std::vector<std::byte> sent = {};
    };

    Result<bool> land_all() {
        while (!landing_.empty()) {
            const auto which = landing_.begin() + network_.random(static_cast<std::uint32_t>(landing_.size()));
            if (Status copied = network_.copy(which->key, which->to, which->sent); !copied) {
                return fail(copied.error());
            }
            landing_.erase(which);
        }
        return true;
    }

    FakeNetwork& network_;
    std::vector<std::byte> address_;
    FileDescriptor event_;
    std::vector<Write> under_way_;
    std::vector<Write> landing_;
    std::optional<WriteId> flush_;
    std::size_t flushes_ = 0;
    std::size_t writes_ = 0;
    std::size_t most_under_way_ = 0;
};

/// Two ends of a control connection within one process, each used by a thread of its own. Every message goes through
/// its encoded head. What waits looks for messages only: a fake fabric needs no waiting.
class FakeControl : public ControlConnection {
public:
    static std::pair<std::unique_ptr<FakeControl>, std::unique_ptr<FakeControl>> pair() {
        auto shared = std::make_shared<Shared>();
        return {std::unique_ptr<FakeControl>(new FakeControl(shared, 0)),
                std::unique_ptr<FakeControl>(new FakeControl(shared, 1))};
    }

    Status send(const Message& message, Instant) override {
        std::array<std::byte, header_bytes> head{};
        encode(Header{static_cast<std::uint32_t>(message.payload.size()), message.type, message.repeat}, head);
        const Result<Header> understood = decode_header(head);
        GODWIT_ASSERT(understood.has_value(), "a message that the peer does not understand: {}",
                      understood.error().message);
        std::unique_lock lock(shared_->mutex);
        Inbox& inbox = shared_->inboxes[1 - side_];
        if (is_response(message.type)) {
            GODWIT_ASSERT(!inbox.response, "a second answer before the first was taken: {}", to_string(message.type));
            inbox.response = std::make_unique<Message>(message);
        } else {
            wait(lock, [&] { return !inbox.message || shared_->ended; });
            if (shared_->ended) {
                return fail(*shared_->ended);
            }
            inbox.message = std::make_unique<Message>(message);
        }
        ++shared_->counts[static_cast<std::size_t>(message.type)];
        shared_->changed.notify_all();
        return shared_->ended ? fail(*shared_->ended) : Status();
    }
    Result<std::size_t> send_stream(std::span<const ConstBuffer>, Instant) override {
        return fail(ErrorCode::internal, "there is no stream here");
    }
    Status wait_used(Instant) override { return {}; }
    Result<Message*> receive(Instant, int) override {
        std::unique_lock lock(shared_->mutex);
        Inbox& inbox = shared_->inboxes[side_];
        wait(lock, [&] { return inbox.message || shared_->ended; });
        if (inbox.message) {
            return inbox.message.get();
        }
        return fail(*shared_->ended);
    }
    Status done() override {
        const std::lock_guard lock(shared_->mutex);
        shared_->inboxes[side_].message.reset();
        shared_->changed.notify_all();
        return {};
    }
    Result<std::unique_ptr<Message>> receive_response(Instant) override {
        std::unique_lock lock(shared_->mutex);
        Inbox& inbox = shared_->inboxes[side_];
        wait(lock, [&] { return inbox.response || shared_->ended; });
        if (inbox.response) {
            return std::move(inbox.response);
        }
        return fail(*shared_->ended);
    }
    Status wait_readable(int descriptor, Instant deadline) override {
        if (descriptor < 0) {
            std::unique_lock lock(shared_->mutex);
            shared_->waits_for_error = true;
            shared_->changed.wait_for(lock, deadline - MonotonicClock().now(),
                                      [&] { return shared_->ended.has_value(); });
        }
        return status();
    }
    /// Somebody has begun to wait for an error and nothing else.
    bool waits_for_error() const {
        const std::lock_guard lock(shared_->mutex);
        return shared_->waits_for_error;
    }
    Status status() const override {
        const std::lock_guard lock(shared_->mutex);
        return shared_->ended ? fail(*shared_->ended) : Status();
    }
    Status settle() override { return status(); }
    void shut_down(std::string_view reason) override {
        const std::lock_guard lock(shared_->mutex);
        if (!shared_->ended) {
            shared_->ended = Error{ErrorCode::peer_closed, std::string(reason)};
        }
        shared_->changed.notify_all();
    }

    void wait_farewell() override {}

    /// How many messages of this type both sides have sent.
    std::size_t sent(MessageType type) const {
        const std::lock_guard lock(shared_->mutex);
        return shared_->counts[static_cast<std::size_t>(type)];
    }

private:
    /// A test that would hang fails instead.
    template <typename Condition>
    void wait(std::unique_lock<std::mutex>& lock, Condition condition) {
        const bool met = shared_->changed.wait_for(lock, std::chrono::seconds(30), condition);
        GODWIT_ASSERT(met, "side {} of a fake control connection waits in vain", side_);
    }

    struct Inbox {
        std::unique_ptr<Message> message;
        std::unique_ptr<Message> response;
    };
    struct Shared {
        std::mutex mutex;
        std::condition_variable changed;
        std::array<Inbox, 2> inboxes;  // these under mutex
        std::array<std::size_t, last_message_type + 1> counts{};
        std::optional<Error> ended;
        bool waits_for_error = false;
    };
    FakeControl(std::shared_ptr<Shared> shared, std::size_t side) : shared_(std::move(shared)), side_(side) {}

    const std::shared_ptr<Shared> shared_;
    const std::size_t side_;
};

}  // namespace godwit::rdma
