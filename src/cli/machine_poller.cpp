#include "cli/machine_poller.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/printable.h"
#include "cli/qmp_messages.h"
#include "io/system_error.h"

namespace godwit {

namespace {

/// What is read of one machine before the others have their turn.
constexpr int most_reads = 4;
constexpr JsonLimits limits{std::size_t{1} << 20, 64};

constexpr const char* closed = "it has closed the connection";

/// A program that ends while something is under way resets its connections.
std::string broken_text(const char* action, int error) {
    return error == ECONNRESET || error == EPIPE ? closed : fmt::format("cannot {}: {}", action, errno_text(error));
}

std::string text_of(const Json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found != object.end() && found->is_string() ? printable(found->get<std::string>()) : "";
}

}  // namespace

MachinePoller::MachinePoller(std::string address, Clock::duration interval)
    : address_(std::move(address)), interval_(interval), stream_(limits) {
    view_.name = printable(address_);
}

short MachinePoller::events() const {
    return static_cast<short>(POLLIN | (out_.empty() ? 0 : POLLOUT));
}

MachinePoller::Clock::time_point MachinePoller::due() const {
    return phase_ == Phase::offline || phase_ == Phase::idle ? next_ : notice_at_;
}

void MachinePoller::process(short revents, Clock::time_point now) {
    if (phase_ == Phase::offline && now >= next_) {
        connect(now);
    }
    if (phase_ == Phase::offline) {
        return;
    }
    if (revents != 0) {
        receive(now);
    }
    if (phase_ == Phase::idle && now >= next_) {
        begin_round(now);
    }
    if (phase_ == Phase::offline || phase_ == Phase::idle) {
        return;
    }
    send_rest(now);
    if (phase_ != Phase::offline && now >= notice_at_) {
        notice_at_ = now + retry_interval;
        set_trouble(fmt::format("no answer for {} s",
                                std::chrono::duration_cast<std::chrono::seconds>(now - asked_at_).count()));
    }
}

void MachinePoller::connect(Clock::time_point now) {
    next_ = now + retry_interval;
    const auto target = qmp_socket_address(address_);
    if (!target) {
        return set_trouble(printable(target.error().message));
    }
    fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_.valid()) {
        return set_trouble("cannot make a socket: " + errno_text(errno));
    }
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&*target), sizeof(*target)) != 0) {
        const int error = errno;
        return lose(error == EAGAIN ? "too many clients wait for it" : "not there: " + errno_text(error), now);
    }
    stream_ = JsonStream(limits);
    out_.clear();
    phase_ = Phase::greeting;
    asked_at_ = now;
    notice_at_ = now + patience;
}

void MachinePoller::receive(Clock::time_point now) {
    std::array<char, 16384> bytes{};
    for (int i = 0; i < most_reads && phase_ != Phase::offline; ++i) {
        const ssize_t count = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (count <= 0) {
            return lose(count == 0 ? closed : broken_text("read", errno), now);
        }
        bool broken = false;
        stream_.feed({bytes.data(), static_cast<std::size_t>(count)}, [&](Result<Json> message) {
            broken = broken || !message || !message->is_object();
            if (!broken && !message->contains("event")) {
                take(*message, now);
            }
            return true;
        });
        if (broken) {
            return lose("what it says is not QMP", now);
        }
    }
}

void MachinePoller::send_rest(Clock::time_point now) {
    while (!out_.empty()) {
        const ssize_t count = ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
        if (count < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                lose(broken_text("write", errno), now);
            }
            return;
        }
        out_.erase(0, static_cast<std::size_t>(count));
    }
}

void MachinePoller::ask(const char* command, Phase phase, Clock::time_point now) {
    out_ += fmt::format("{{\"execute\":\"{}\"}}\r\n", command);
    phase_ = phase;
    asked_at_ = now;
    notice_at_ = now + patience;
}

void MachinePoller::begin_round(Clock::time_point now) {
    next_ = now + interval_;
    if (has_name_) {
        ask("query-status", Phase::status, now);
    } else {
        ask("query-name", Phase::name, now);
    }
}

void MachinePoller::take(const Json& message, Clock::time_point now) {
    if (phase_ == Phase::greeting) {
        auto server = qmp_server_name(message);
        if (!server) {
            return lose(printable(server.error().message), now);
        }
        view_.server = printable(*server);
        return ask("qmp_capabilities", Phase::negotiating, now);
    }
    if (phase_ != Phase::idle && phase_ != Phase::offline) {
        take_answer(message, now);
    }
}

/// A command that the server refuses leaves its figures empty.
void MachinePoller::take_answer(const Json& message, Clock::time_point now) {
    const auto found = message.find("return");
    const Json answer = found != message.end() && found->is_object() ? *found : Json::object();
    switch (phase_) {
        case Phase::negotiating:
            return begin_round(now);
        case Phase::name:
            has_name_ = true;
            if (const std::string name = text_of(answer, "name"); !name.empty()) {
                view_.name = name;
            }
            return ask("query-status", Phase::status, now);
        case Phase::status:
            view_.run_state = text_of(answer, "status");
            return ask("query-migrate", Phase::migration, now);
        default:
            migration_ = answer;
            view_.migration = parse_migration(answer);
            view_.course.add(view_.migration);
            view_.trouble.clear();
            phase_ = Phase::idle;
            ++revision_;
    }
}

void MachinePoller::lose(std::string why, Clock::time_point now) {
    fd_.reset();
    phase_ = Phase::offline;
    has_name_ = false;
    next_ = now + retry_interval;
    set_trouble(std::move(why));
}

void MachinePoller::set_trouble(std::string why) {
    if (view_.trouble != why) {
        view_.trouble = std::move(why);
        ++revision_;
    }
}

}  // namespace godwit
