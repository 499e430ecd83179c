#pragma once

#include <memory>
#include <string>

#include "godwit/log.h"
#include "io/block_queue.h"
#include "io/disk_file.h"
#include "io/image_lock.h"

namespace godwit {

/// A raw image: a file (holes read as zeros) or a block device of the host, without layers below.
class RawDisk : public HostBlockDevice {
public:
    /// Unlocked. Errors: `disk`.
    static Result<std::unique_ptr<RawDisk>> open(const std::string& path, DiskAccess access, Log& log);

    ByteCount size() const override { return file_->size(); }
    bool is_read_only() const override { return file_->is_read_only(); }
    Status read(DiskOffset offset, std::span<std::byte> bytes) override;
    Status write(DiskOffset offset, std::span<const std::byte> bytes) override;
    Status write_zeroes(DiskOffset offset, ByteCount count) override;
    Status discard(DiskOffset offset, ByteCount count) override;
    Status flush() override { return file_->flush(); }
    void begin_flush() override { file_->begin_flush(); }
    Result<DiskExtent> extent_at(DiskOffset offset) override { return file_->extent_at(offset); }

    /// Over io_uring, or with threads where the kernel does not let us have it.
    Result<std::unique_ptr<BlockQueue>> open_queue() override;
    /// Forgets what is cached of the image as well: until now somebody else may have owned it.
    Status lock() override;
    void unlock() override { lock_.release(); }

private:
    RawDisk(std::unique_ptr<DiskFile> file, Log& log);

    const std::unique_ptr<DiskFile> file_;
    Log& log_;
    ImageLock lock_;
};

}  // namespace godwit
