#pragma once

#include <optional>
#include <utility>

#include "godwit/error.h"
#include "io/file_descriptor.h"

namespace godwit {

/// Turns SIGINT and SIGTERM into something to poll for. They are blocked in the calling thread and in all that it
/// starts later, so make it before any other thread. Once one has been taken, the next ends the program at once.
class SignalWatch {
public:
    static Result<SignalWatch> create();

    /// Readable when a signal has come.
    int fd() const { return fd_.get(); }
    /// The signal that has come, if one has. From then on signals have their usual effect. The creating thread only.
    std::optional<int> take();

private:
    explicit SignalWatch(FileDescriptor fd) : fd_(std::move(fd)) {}
    FileDescriptor fd_;
};

/// "SIGINT" or "SIGTERM".
const char* signal_name(int signal);

}  // namespace godwit
