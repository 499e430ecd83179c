#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "io/file_descriptor.h"
#include "io/test_support.h"
#include "rdma/messages.h"

/// What the tests of the control connection have in common.
namespace godwit::rdma::test {

using namespace godwit::test;  // NOLINT(google-build-using-namespace)

inline std::pair<FileDescriptor, FileDescriptor> socket_pair() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

/// The same over tcp, which throws away what is on its way when a socket is closed with unread input.
inline std::pair<FileDescriptor, FileDescriptor> tcp_pair() {
    const FileDescriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t address_bytes = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener.get(), generic, address_bytes), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    EXPECT_EQ(::getsockname(listener.get(), generic, &address_bytes), 0);
    FileDescriptor connected(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(connected.get(), generic, address_bytes), 0);
    return {std::move(connected), FileDescriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC))};
}

inline Message text_message(MessageType type, std::string_view text) {
    const ConstBuffer bytes = bytes_of(text);
    return Message{type, 1, {bytes.begin(), bytes.end()}};
}

inline std::string text_of(const Message& message) {
    return {reinterpret_cast<const char*>(message.payload.data()), message.payload.size()};
}

/// A header, right or wrong.
inline std::string raw(std::uint32_t payload_bytes, std::uint32_t type, std::uint32_t repeat = 1,
                       std::uint32_t padding = 0) {
    std::string bytes;
    for (const std::uint32_t value : {payload_bytes, type, repeat, padding}) {
        for (int shift = 24; shift >= 0; shift -= 8) {
            bytes += static_cast<char>(value >> static_cast<unsigned>(shift) & 0xff);
        }
    }
    return bytes;
}
/// A message as bytes.
inline std::string raw(MessageType type, std::string_view payload = {}) {
    return raw(static_cast<std::uint32_t>(payload.size()), static_cast<std::uint32_t>(type)) + std::string(payload);
}

}  // namespace godwit::rdma::test
