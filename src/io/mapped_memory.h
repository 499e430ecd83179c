#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "godwit/error.h"
#include "godwit/guest_memory.h"
#include "godwit/units.h"
#include "io/file_descriptor.h"
#include "io/file_owner.h"

namespace godwit {

/// Guest memory that this process maps: private anonymous memory, memory shared through a file, or memory that an
/// embedder has already.
///
/// Private memory asks for huge pages: a page fault per 4 KiB would dominate the loading of a large guest (per GiB
/// about 0.8 s instead of 0.15 s for data, 0.23 s instead of 2 ms for reading what was never touched). Dirty pages are
/// tracked by 4 KiB all the same; the tracker splits what it has to. Nothing is reserved, nor allocated unless asked
/// for: a page costs memory from its first write on. Children made by fork() do not get the mappings.
class MappedMemory : public GuestMemory {
public:
    struct Spec {
        /// 1 to 255 bytes, unique.
        std::string id;
        /// A multiple of `page_bytes`, not 0.
        ByteCount size;
        /// Absent: private anonymous memory. Else shared from this regular file (on disk or tmpfs, or a memfd through
        /// /proc/self/fd/N), which is created with `size` when it does not exist. An existing empty file is given the
        /// size; one of another size is an error.
        std::optional<std::string> file;
        /// Allocate and map every page now: nothing is left to do when a page is touched first, in the middle of a
        /// migration.
        bool prealloc = false;
        /// Is part of core dumps of this process. Otherwise nobody finds the guest's secrets in them.
        bool in_core_dumps = false;
        /// Whose `file` becomes if it is created.
        std::optional<FileOwner> owner = {};
    };

    /// Maps all blocks. Errors: `invalid_argument` (ids, sizes, a file of another size or kind, one file for two
    /// blocks), `memory` (the system's refusal); a file that was created for nothing is removed again.
    static Result<std::unique_ptr<MappedMemory>> create(std::vector<Spec> specs);

    /// One block over memory that belongs to the caller, stays where it is and outlives this object. It may be of any
    /// kind: it is treated as private memory, and whether core dumps have it is left as it is. `host` must be page
    /// aligned.
    static Result<std::unique_ptr<MappedMemory>> adopt(std::string id, std::byte* host, ByteCount size);

    ~MappedMemory() override;
    MappedMemory(const MappedMemory&) = delete;
    MappedMemory& operator=(const MappedMemory&) = delete;

    std::span<const RamBlock> blocks() const override { return blocks_; }
    /// Private memory: data to the end of the block. A file's: see `file_extent_at`; a few microseconds. Any thread.
    Extent extent_at(std::size_t block, PageNumber page) const override;
    /// Private memory is read and overwritten where it is not zero, so that pages which a device or another process
    /// pinned stay the same pages. A file's data pages that are not zero are punched out, or overwritten where the file
    /// system cannot punch. Any thread; not for pages that somebody else writes at the same time.
    Status make_zero(std::size_t block, PageNumber first, PageCount count) override;

    /// Whole pages only: what shares a page with something else stays in core dumps.
    void hide_copies(std::span<std::byte> copies) const override;

    /// The block has content from now on. By the owner, before migrations use the memory.
    void mark_used(std::size_t block);

private:
    struct Mapping {
        std::byte* host = nullptr;
        std::size_t bytes = 0;
        /// Not valid for private memory.
        FileDescriptor file;
        /// Set while `create` is not through: the file was made by it and goes again if it fails.
        std::optional<std::string> created_file;
        /// False for memory of the caller's.
        bool owned = false;
    };

    MappedMemory() = default;
    Status add(Spec spec);
    Status add_private(const Spec& spec);
    Status add_file(const Spec& spec, const std::string& path);
    Status set_dumping(const Spec& spec, std::byte* host);
    static void zero_file_pages(const Mapping& mapping, PageNumber first, PageNumber end);

    /// Both lists go together by index. Written only while the object is made, but for `RamBlock::fresh`.
    std::vector<RamBlock> blocks_;
    std::vector<Mapping> mappings_;
    /// Some block is kept out of core dumps. Written only while the object is made.
    bool hidden_ = false;
};

}  // namespace godwit
