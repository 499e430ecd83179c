#include "machine/serial_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

namespace godwit {

namespace {

class SerialFile : public SerialBackend {
public:
    SerialFile(int descriptor, std::string path, Log& log)
        : descriptor_(descriptor), path_(std::move(path)), log_(log) {}
    ~SerialFile() override { ::close(descriptor_); }

    void send(std::span<const std::uint8_t> bytes) override {
        while (!bytes.empty()) {
            const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) {
                continue;
            }
            if (written <= 0) {
                if (!failed_.exchange(true)) {
                    log_.write(LogLevel::warning,
                               fmt::format("serial output to {} is lost: {}", path_, std::strerror(errno)));
                }
                return;
            }
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        }
    }

private:
    int descriptor_;
    std::string path_;
    Log& log_;
    /// Said once.
    std::atomic<bool> failed_ = false;
};

}  // namespace

Result<std::unique_ptr<SerialBackend>> open_serial_file(const std::string& path, Log& log) {
    // O_NONBLOCK: a fifo that nobody reads must not hold the guest. What a guest says on its console is its owner's.
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600);
    if (descriptor < 0) {
        return fail(ErrorCode::io,
                    fmt::format("the serial port's file {} cannot be opened: {}", path, std::strerror(errno)));
    }
    return std::make_unique<SerialFile>(descriptor, path, log);
}

}  // namespace godwit
