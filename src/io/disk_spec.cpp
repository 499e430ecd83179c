#include "io/disk_spec.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/file_descriptor.h"
#include "io/system_error.h"

namespace godwit {

namespace {

/// A raw image whose requests are carried out inside of their submission.
class PlainFile : public HostBlockDevice {
public:
    PlainFile(std::string path, FileDescriptor fd, ByteCount size, bool read_only)
        : path_(std::move(path)), fd_(std::move(fd)), size_(size), read_only_(read_only) {}

    ByteCount size() const override { return size_; }
    bool is_read_only() const override { return read_only_; }
    Status read(DiskOffset offset, std::span<std::byte> bytes) override {
        return transfer("read", offset, bytes,
                        [this](auto piece, auto at) { return ::pread(fd_.get(), piece.data(), piece.size(), at); });
    }
    Status write(DiskOffset offset, std::span<const std::byte> bytes) override {
        return transfer("write", offset, bytes,
                        [this](auto piece, auto at) { return ::pwrite(fd_.get(), piece.data(), piece.size(), at); });
    }
    Status write_zeroes(DiskOffset offset, ByteCount count) override {
        constexpr int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
        return ::fallocate(fd_.get(), punch, static_cast<off_t>(offset.value()), static_cast<off_t>(count.value())) == 0
                   ? Status()
                   : failure("zero", errno);
    }
    Status discard(DiskOffset offset, ByteCount count) override { return write_zeroes(offset, count); }
    Status flush() override { return ::fdatasync(fd_.get()) == 0 ? Status() : failure("flush", errno); }
    Result<DiskExtent> extent_at(DiskOffset /*offset*/) override {
        return DiskExtent{DiskContent::data, DiskOffset(size_.value())};
    }
    Result<std::unique_ptr<BlockQueue>> open_queue() override;
    Status lock() override { return ::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0 ? Status() : failure("lock", errno); }
    void unlock() override { ::flock(fd_.get(), LOCK_UN); }

private:
    tl::unexpected<Error> failure(const char* what, int error) const {
        return fail_errno(ErrorCode::disk, fmt::format("cannot {} {}", what, path_), error);
    }
    template <typename Bytes, typename Call>
    Status transfer(const char* what, DiskOffset offset, Bytes bytes, Call call) {
        while (!bytes.empty()) {
            const ssize_t done = call(bytes, static_cast<off_t>(offset.value()));
            if (done <= 0) {
                return failure(what, done == 0 ? EIO : errno);
            }
            bytes = bytes.subspan(static_cast<std::size_t>(done));
            offset += DiskOffset(static_cast<std::uint64_t>(done));
        }
        return {};
    }

    const std::string path_;
    const FileDescriptor fd_;
    const ByteCount size_;
    const bool read_only_;
};

class PlainQueue : public BlockQueue {
public:
    explicit PlainQueue(PlainFile& file) : file_(file), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

    void submit(BlockRequest request) override {
        done_.push_back({request.token, carry_out(request)});
        ::eventfd_write(event_.get(), 1);
    }
    int descriptor() const override { return event_.get(); }
    std::vector<BlockCompletion> take_completions() override {
        eventfd_t count = 0;
        ::eventfd_read(event_.get(), &count);
        return std::exchange(done_, {});
    }
    std::size_t in_flight() const override { return done_.size(); }

private:
    Status carry_out(const BlockRequest& request) {
        switch (request.kind) {
            case BlockRequest::Kind::flush:
                return file_.flush();
            case BlockRequest::Kind::discard:
                return file_.discard(request.offset, request.count);
            case BlockRequest::Kind::write_zeroes:
                return file_.write_zeroes(request.offset, request.count);
            default:
                break;
        }
        DiskOffset offset = request.offset;
        for (const auto& buffer : request.buffers) {
            Status status =
                request.kind == BlockRequest::Kind::read ? file_.read(offset, buffer) : file_.write(offset, buffer);
            if (!status) {
                return status;
            }
            offset += DiskOffset(buffer.size());
        }
        return {};
    }
    PlainFile& file_;
    const FileDescriptor event_;
    std::vector<BlockCompletion> done_;
};

Result<std::unique_ptr<BlockQueue>> PlainFile::open_queue() {
    return std::make_unique<PlainQueue>(*this);
}

}  // namespace

Result<DiskSpec> parse_disk_spec(std::string_view text) {
    DiskSpec spec;
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view part = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), part.size() + 1));
        if (part.starts_with("id=")) {
            spec.name = part.substr(3);
        } else if (part.starts_with("file=")) {
            spec.file = part.substr(5);
        } else if (part == "readonly") {
            spec.read_only = true;
        } else {
            return fail(ErrorCode::invalid_argument, fmt::format("'{}' says nothing about a disk", part));
        }
    }
    if (spec.name.empty() || spec.file.empty()) {
        return fail(ErrorCode::invalid_argument, fmt::format("'{}' does not describe a disk", text),
                    "write id=NAME,file=PATH[,readonly]");
    }
    return spec;
}

Result<std::unique_ptr<HostBlockDevice>> open_disk(const DiskSpec& spec, Clock& /*clock*/, Log& /*log*/) {
    FileDescriptor fd(::open(spec.file.c_str(), (spec.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
    struct stat status {};
    if (!fd.valid() || ::fstat(fd.get(), &status) != 0) {
        return fail_errno(ErrorCode::disk, fmt::format("cannot open {}", spec.file), errno);
    }
    return std::make_unique<PlainFile>(spec.file, std::move(fd), ByteCount(static_cast<std::uint64_t>(status.st_size)),
                                       spec.read_only);
}

}  // namespace godwit
