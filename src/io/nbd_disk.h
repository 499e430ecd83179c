#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/block_queue.h"
#include "io/disk_file.h"
#include "io/nbd_connection.h"

namespace godwit {

/// A disk that an NBD server serves: qcow2 images, through `qemu-nbd`, are disks in this way.
///
/// With `qemu-nbd -A` the server tells layers apart; then what is not in the image itself is `base`, whether a file
/// below it has it or none. The server locks the image, so there is nothing to lock here: it
/// does not keep two of its clients from one image, `identity` does where both take part in one migration.
class NbdDisk : public HostBlockDevice {
public:
    /// `uri` is nbd://HOST:PORT/NAME or nbd+unix:///NAME?socket=PATH. The clock outlives the disk. Errors: `disk`; also
    /// when the server allows no writes, but access is read-write.
    static Result<std::unique_ptr<NbdDisk>> open(const std::string& uri, DiskAccess access, const Clock& clock,
                                                 const NbdTimeouts& timeouts = {});

    ByteCount size() const override { return connection_->offer().size; }
    bool is_read_only() const override { return access_ == DiskAccess::read_only; }
    Status read(DiskOffset offset, std::span<std::byte> bytes) override;
    Status write(DiskOffset offset, std::span<const std::byte> bytes) override;
    Status write_zeroes(DiskOffset offset, ByteCount count) override;
    Status discard(DiskOffset offset, ByteCount count) override;
    Status flush() override;
    Result<DiskExtent> extent_at(DiskOffset offset) override;

    Result<std::unique_ptr<BlockQueue>> open_queue() override;
    /// Forgets what the server has said of the disk: until now somebody else may have owned the image.
    Status lock() override;
    std::string identity() const override { return connection_->identity(); }

private:
    NbdDisk(std::unique_ptr<NbdConnection> connection, DiskAccess access)
        : connection_(std::move(connection)), access_(access) {}
    /// Splits a stretch by what the server takes at a time.
    template <typename Piece>
    Status in_pieces(DiskOffset offset, std::uint64_t count, Piece piece);
    /// The same for one that changes the disk.
    template <typename Piece>
    Status change(DiskOffset offset, std::uint64_t count, Piece piece);
    void forget_extents();
    Result<std::vector<DiskExtent>> ask_extents(DiskOffset offset);

    const std::unique_ptr<NbdConnection> connection_;
    const DiskAccess access_;

    std::mutex mutex_;
    // Under mutex_.
    /// The server's last answer: extents from known_start_ on, each begins where the one before it ends.
    std::vector<DiskExtent> known_;
    DiskOffset known_start_;
    /// Counts the beginnings and ends of changes: an answer that was on its way meanwhile may be stale.
    std::uint64_t changes_ = 0;
};

/// What a block status says about the disk from `offset` on, at most to `end`. Empty when the server's answer makes no
/// sense. Sectors of several kinds count as data.
std::vector<DiskExtent> extents_from(const NbdStatusEntries& entries, const NbdExport& offer, DiskOffset offset,
                                     DiskOffset end);

}  // namespace godwit
