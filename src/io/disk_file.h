#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>

#include "godwit/block_device.h"
#include "io/file_descriptor.h"

namespace godwit {

enum class DiskAccess { read_only, read_write };

/// In which way a stretch of a file is made zero: each where the file system has refused the one before it.
enum class ZeroMethod {
    punch,       ///< makes a hole (FALLOC_FL_PUNCH_HOLE)
    zero_range,  ///< makes room that reads as zeros (FALLOC_FL_ZERO_RANGE)
    write,       ///< writes zeros
};

/// The errno value says that the file system (or block device) cannot do this fallocate call at all.
bool refuses_fallocate(int error);
/// The mode argument of fallocate(2) for every method but `write`.
int fallocate_mode(ZeroMethod method);

/// A file that holds sectors: one layer of a disk image, a regular file or a block device of the host. Calls end when
/// all of it is done, or in an error with code `disk` that names the file. Any thread, several at a time.
class DiskFile {
public:
    /// A file that is not there is not created. Errors: `disk`; also when the size is no multiple of the sector size.
    static Result<std::unique_ptr<DiskFile>> open(const std::string& path, DiskAccess access);

    int fd() const { return file_.get(); }
    const std::string& path() const { return path_; }
    ByteCount size() const { return size_; }
    bool is_read_only() const { return access_ == DiskAccess::read_only; }

    Status read(DiskOffset offset, std::span<std::byte> bytes) const;
    Status write(DiskOffset offset, std::span<const std::byte> bytes);
    Status write_zeroes(DiskOffset offset, ByteCount count);
    /// Without effect where the file system cannot make holes.
    Status discard(DiskOffset offset, ByteCount count);
    /// Once this has failed it fails for ever: the kernel tells of a failed write-back once and then takes the data for
    /// written, so that a later success would say nothing about what was written before the failure.
    Status flush();
    void begin_flush();
    /// Forgets what of the file this host keeps in memory and has not changed: another host may have written since it
    /// was read. Without effect on file systems that only one host can use. Takes some time for each page.
    void drop_cached_pages();
    /// A hole is `zeros`.
    Result<DiskExtent> extent_at(DiskOffset offset) const;

    // For who carries out requests on `fd()` in its own way.
    ZeroMethod zero_method() const { return zero_method_; }
    /// The file system has refused the method; from now on the next one is used.
    void refuse(ZeroMethod method);
    /// What a request tries next when `method` has failed with an errno value that `refuses_fallocate`. The method is
    /// refused for good, unless the stretch itself may be what was not liked: its alignment.
    ZeroMethod after_refusal(ZeroMethod method, int error, DiskOffset offset, ByteCount count);
    /// An errno value of a failed fdatasync: what `flush` says from now on.
    void note_flush_error(int error);
    /// To be called when this file takes the place of an `earlier` descriptor of the same file.
    void inherit_flush_error(const DiskFile& earlier) { note_flush_error(earlier.flush_error_); }
    /// Empty, or the error of an earlier flush.
    Status flush_state() const;
    tl::unexpected<Error> failure(std::string_view what, DiskOffset offset, std::uint64_t count, int error) const;

private:
    DiskFile(FileDescriptor file, std::string path, DiskAccess access, ByteCount size)
        : file_(std::move(file)), path_(std::move(path)), access_(access), size_(size) {}
    Status write_zero_bytes(DiskOffset offset, ByteCount count);

    const FileDescriptor file_;
    const std::string path_;
    const DiskAccess access_;
    const ByteCount size_;
    std::atomic<ZeroMethod> zero_method_{ZeroMethod::punch};
    /// The errno value of the first fdatasync that failed, or 0.
    std::atomic<int> flush_error_{0};
};

/// So many zero bytes are at hand wherever zeros have to be written.
inline constexpr std::size_t zero_buffer_bytes = 65536;
std::span<const std::byte> zero_buffer();

}  // namespace godwit
