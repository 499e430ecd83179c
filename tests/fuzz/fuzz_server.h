#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "io/file_descriptor.h"

namespace godwit::fuzz {

/// Waits at a unix socket. Whoever connects hears the fuzzer's bytes, whatever he says, and then the end. Nothing of it
/// stands in the file system for longer than the constructor takes.
class FuzzServer {
public:
    FuzzServer() : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        std::string directory = std::filesystem::temp_directory_path() / "godwit-fuzz-XXXXXX";
        GODWIT_ASSERT(::mkdtemp(directory.data()) != nullptr, "no directory for a socket");
        const std::string path = directory + "/s";
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        GODWIT_ASSERT(path.size() < sizeof(address.sun_path), "the path {} is too long", path);
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        GODWIT_ASSERT(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
                          ::listen(listener_.get(), 4) == 0,
                      "cannot listen at {}", path);
        place_ = FileDescriptor(::open(path.c_str(), O_PATH | O_CLOEXEC));
        std::filesystem::remove_all(directory);
        thread_ = std::thread([this] { serve(); });
    }
    ~FuzzServer() {
        ::shutdown(listener_.get(), SHUT_RDWR);  // ends the wait of the thread
        thread_.join();
    }
    FuzzServer(const FuzzServer&) = delete;
    FuzzServer& operator=(const FuzzServer&) = delete;

    /// Where to connect to, in this process.
    std::string path() const { return fmt::format("/proc/self/fd/{}", place_.get()); }
    /// What those who connect from now on hear.
    void say(std::span<const std::byte> bytes) {
        const std::lock_guard lock(mutex_);
        bytes_.assign(bytes.begin(), bytes.end());
    }

private:
    void serve() {
        for (;;) {
            const FileDescriptor client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!client.valid()) {
                return;
            }
            std::vector<std::byte> bytes;
            {
                const std::lock_guard lock(mutex_);
                bytes = bytes_;
            }
            for (std::size_t sent = 0; sent < bytes.size();) {
                const ssize_t count = ::send(client.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
                if (count <= 0) {
                    break;  // the client has gone
                }
                sent += static_cast<std::size_t>(count);
            }
            ::shutdown(client.get(), SHUT_WR);
            std::array<std::byte, 4096> ignored{};
            while (::recv(client.get(), ignored.data(), ignored.size(), 0) > 0) {
            }
        }
    }

    const FileDescriptor listener_;
    FileDescriptor place_;
    std::mutex mutex_;
    // Under mutex_.
    std::vector<std::byte> bytes_;
    std::thread thread_;
};

}  // namespace godwit::fuzz
