#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "godwit/error.h"
#include "godwit/units.h"
#include "io/file_descriptor.h"

namespace godwit {

/// Reads what lies anywhere in a saved stream, and keeps pages that lie nowhere in it in a file without a name. One
/// thread.
class PageSpill {
public:
    /// `stream` has to be a file; the other one, once it is needed, lies in `directory`. Errors: `io`,
    /// `invalid_argument` for what is no file.
    static Result<PageSpill> open(const std::string& stream, std::string directory);

    /// Errors: `io`, also for a stream that has become shorter.
    Status read_stream(std::uint64_t offset, std::span<std::byte> bytes) const;
    Status read_spill(std::uint64_t offset, std::span<std::byte> bytes) const;
    /// Where the page lies now. Errors: `io`.
    Result<std::uint64_t> add(std::span<const std::byte> page);
    Status replace(std::uint64_t offset, std::span<const std::byte> page);

private:
    PageSpill(FileDescriptor stream, std::string name, std::string directory)
        : stream_(std::move(stream)), name_(std::move(name)), directory_(std::move(directory)) {}

    FileDescriptor stream_;
    std::string name_;
    std::string directory_;
    FileDescriptor spill_;
    std::uint64_t spill_bytes_ = 0;
};

}  // namespace godwit
