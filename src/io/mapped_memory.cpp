#include "io/mapped_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "io/mapped_memory_file.h"
#include "io/page_extents.h"
#include "io/system_error.h"
#include "ram/zero_page.h"

namespace godwit {
namespace {

constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;
/// Sizes that no address space holds end in a message of ours; well below what would overflow an off_t.
constexpr std::uint64_t max_block_bytes = std::uint64_t{1} << 50;

Status check_block(const std::string& id, ByteCount size, const std::vector<RamBlock>& others) {
    if (id.empty() || id.size() > 255) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the name of a RAM block has 1 to 255 bytes, not {}", id.size()));
    }
    if (std::any_of(others.begin(), others.end(), [&](const RamBlock& other) { return other.id == id; })) {
        return fail(ErrorCode::invalid_argument, fmt::format("two RAM blocks are named \"{}\"", id));
    }
    if (size.value() == 0 || size.value() % page_bytes != 0 || size.value() > max_block_bytes) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("RAM block \"{}\" of {} bytes: the size must be a multiple of {}, at least one page "
                                "and at most {}",
                                id, size.value(), page_bytes, max_block_bytes));
    }
    return {};
}

tl::unexpected<Error> mapping_failed(const std::string& id, std::size_t bytes) {
    return fail_errno(ErrorCode::memory, fmt::format("cannot map {} bytes for RAM block \"{}\"", bytes, id), errno);
}

/// Private memory that begins at a huge page's boundary, so that all of it can consist of huge pages.
std::byte* map_private(std::size_t bytes) {
    const std::size_t slack = bytes >= huge_page_bytes ? huge_page_bytes : 0;
    void* const raw =
        ::mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED) {
        return nullptr;
    }
    std::byte* const start = static_cast<std::byte*>(raw);
    if (slack == 0) {
        return start;
    }
    const std::size_t before =
        (huge_page_bytes - reinterpret_cast<std::uintptr_t>(start) % huge_page_bytes) % huge_page_bytes;
    if (before != 0) {
        ::munmap(start, before);
    }
    if (slack != before) {
        ::munmap(start + before + bytes, slack - before);
    }
    return start + before;
}

/// Overwrites the pages that are not zero.
void zero_private_pages(std::byte* host, PageNumber first, PageNumber end) {
    for (PageNumber page = first; page < end; page += PageNumber(1)) {
        std::byte* const at = host + offset_of(page).value();
        if (!is_zero_page(at)) {
            std::memset(at, 0, page_bytes);
        }
    }
}

/// Makes pages of a file, all of them data, a hole.
void punch(const FileDescriptor& file, std::byte* host, PageNumber first, PageNumber end) {
    const std::uint64_t offset = offset_of(first).value();
    const std::uint64_t length = offset_of(end).value() - offset;
    if (::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                    static_cast<off_t>(length)) != 0) {
        // Whatever the reason, these pages have data already: overwriting them needs no space.
        std::memset(host + offset, 0, length);
    }
}

}  // namespace

Result<std::unique_ptr<MappedMemory>> MappedMemory::create(std::vector<Spec> specs) {
    std::unique_ptr<MappedMemory> memory(new MappedMemory);
    for (Spec& spec : specs) {
        if (Status added = memory->add(std::move(spec)); !added) {
            return fail(added.error());
        }
    }
    for (Mapping& mapping : memory->mappings_) {
        mapping.created_file.reset();
    }
    return memory;
}

Result<std::unique_ptr<MappedMemory>> MappedMemory::adopt(std::string id, std::byte* host, ByteCount size) {
    std::unique_ptr<MappedMemory> memory(new MappedMemory);
    if (Status checked = check_block(id, size, {}); !checked) {
        return fail(checked.error());
    }
    if (host == nullptr || reinterpret_cast<std::uintptr_t>(host) % page_bytes != 0) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the memory of RAM block \"{}\" must begin at a multiple of {}", id, page_bytes),
                    "allocate it with mmap() or aligned_alloc()");
    }
    memory->blocks_.push_back(RamBlock{std::move(id), host, size, false});
    memory->mappings_.push_back(Mapping{host, static_cast<std::size_t>(size.value()), {}, {}, false});
    return memory;
}

MappedMemory::~MappedMemory() {
    for (const Mapping& mapping : mappings_) {
        if (mapping.owned) {
            ::munmap(mapping.host, mapping.bytes);
        }
        if (mapping.created_file) {
            ::unlink(mapping.created_file->c_str());
        }
    }
}

Status MappedMemory::add(Spec spec) {
    if (Status checked = check_block(spec.id, spec.size, blocks_); !checked) {
        return checked;
    }
    Status added = spec.file ? add_file(spec, *spec.file) : add_private(spec);
    if (!added || !spec.prealloc) {
        return added;
    }
    if (::madvise(blocks_.back().host, static_cast<std::size_t>(spec.size.value()), MADV_POPULATE_WRITE) != 0) {
        return fail_errno(
            ErrorCode::memory, fmt::format("RAM block \"{}\" cannot be preallocated", spec.id), errno,
            "there is not enough memory, or not enough room on the file system of the memory file, or the "
            "kernel is older than 5.14; leave preallocation out");
    }
    return {};
}

Status MappedMemory::add_private(const Spec& spec) {
    const auto bytes = static_cast<std::size_t>(spec.size.value());
    std::byte* const host = map_private(bytes);
    if (host == nullptr) {
        return mapping_failed(spec.id, bytes);
    }
    // Both are advice: a kernel built without huge pages refuses the first one.
    ::madvise(host, bytes, MADV_HUGEPAGE);
    ::madvise(host, bytes, MADV_DONTFORK);
    if (Status hidden = set_dumping(spec, host); !hidden) {
        ::munmap(host, bytes);
        return hidden;
    }
    blocks_.push_back(RamBlock{spec.id, host, spec.size, true});
    mappings_.push_back(Mapping{host, bytes, {}, {}, true});
    return {};
}

Status MappedMemory::add_file(const Spec& spec, const std::string& path) {
    MemoryFile file(path, spec.owner);
    if (Status prepared = file.prepare(spec.size); !prepared) {
        return prepared;
    }
    for (std::size_t block = 0; block < mappings_.size(); ++block) {
        if (mappings_[block].file.valid() && file.same_as(mappings_[block].file)) {
            return fail(ErrorCode::invalid_argument, fmt::format("RAM blocks \"{}\" and \"{}\" name the same file {}",
                                                                 blocks_[block].id, spec.id, path));
        }
    }
    const auto bytes = static_cast<std::size_t>(spec.size.value());
    void* const host = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor(), 0);
    if (host == MAP_FAILED) {
        return mapping_failed(spec.id, bytes);
    }
    ::madvise(host, bytes, MADV_DONTFORK);
    if (Status hidden = set_dumping(spec, static_cast<std::byte*>(host)); !hidden) {
        ::munmap(host, bytes);
        return hidden;
    }
    blocks_.push_back(RamBlock{spec.id, static_cast<std::byte*>(host), spec.size, file.fresh()});
    std::optional<std::string> created;
    if (file.created()) {
        created = path;
    }
    mappings_.push_back(Mapping{static_cast<std::byte*>(host), bytes, file.keep(), std::move(created), true});
    return {};
}

Status MappedMemory::set_dumping(const Spec& spec, std::byte* host) {
    if (spec.in_core_dumps) {
        return {};
    }
    if (::madvise(host, static_cast<std::size_t>(spec.size.value()), MADV_DONTDUMP) != 0) {
        return fail_errno(ErrorCode::memory, fmt::format("RAM block \"{}\" cannot be kept out of core dumps", spec.id),
                          errno);
    }
    hidden_ = true;
    return {};
}

void MappedMemory::hide_copies(std::span<std::byte> copies) const {
    const auto begin = reinterpret_cast<std::uintptr_t>(copies.data());
    const std::uintptr_t first = (begin + page_bytes - 1) / page_bytes * page_bytes;
    const std::uintptr_t end = (begin + copies.size()) / page_bytes * page_bytes;
    if (hidden_ && first < end) {
        // Cannot fail for memory that is mapped.
        ::madvise(copies.data() + (first - begin), end - first, MADV_DONTDUMP);
    }
}

Extent MappedMemory::extent_at(std::size_t block, PageNumber page) const {
    GODWIT_ASSERT(block < blocks_.size(), "block {} of {}", block, blocks_.size());
    const PageNumber end(pages_in(blocks_[block].size).value());
    GODWIT_ASSERT(page < end, "page {} of {} in RAM block \"{}\"", page.value(), end.value(), blocks_[block].id);
    const FileDescriptor& file = mappings_[block].file;
    return file.valid() ? file_extent_at(file.get(), mappings_[block].host, page, end) : Extent{false, end};
}

Status MappedMemory::make_zero(std::size_t block, PageNumber first, PageCount count) {
    GODWIT_ASSERT(block < blocks_.size(), "block {} of {}", block, blocks_.size());
    const std::uint64_t pages = pages_in(blocks_[block].size).value();
    GODWIT_ASSERT(first.value() <= pages && count.value() <= pages - first.value(),
                  "pages {}+{} of {} in RAM block \"{}\"", first.value(), count.value(), pages, blocks_[block].id);
    const PageNumber end(first.value() + count.value());
    if (mappings_[block].file.valid()) {
        zero_file_pages(mappings_[block], first, end);
    } else {
        zero_private_pages(mappings_[block].host, first, end);
    }
    return {};
}

void MappedMemory::zero_file_pages(const Mapping& mapping, PageNumber first, PageNumber end) {
    const auto is_zero = [&](PageNumber page) { return is_zero_page(mapping.host + offset_of(page).value()); };
    for (PageNumber page = first; page < end;) {
        const Extent extent = file_extent_at(mapping.file.get(), mapping.host, page, end);
        if (extent.hole) {
            page = extent.end;
            continue;
        }
        while (page < extent.end) {
            const PageNumber start = page;
            while (page < extent.end && !is_zero(page)) {
                page += PageNumber(1);
            }
            if (page > start) {
                punch(mapping.file, mapping.host, start, page);
            } else {
                page += PageNumber(1);
            }
        }
    }
}

void MappedMemory::mark_used(std::size_t block) {
    GODWIT_ASSERT(block < blocks_.size(), "block {} of {}", block, blocks_.size());
    blocks_[block].fresh = false;
}

}  // namespace godwit
