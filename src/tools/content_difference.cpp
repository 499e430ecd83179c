// The memory and the disks of two saved machines.
#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "tools/machine_difference.h"

namespace godwit {
namespace {

using Kind = PageIndex::Entry::Kind;

constexpr std::uint64_t chunk_bytes = DiskWriteTracker::chunk_bytes;

/// Adds a page or chunk that differs, in order.
void add(ContentDifference& difference, std::uint64_t offset, std::uint64_t unit, Owner owner, std::size_t limit) {
    ++difference.differing;
    difference.only_a += owner == Owner::only_a ? 1U : 0U;
    difference.only_b += owner == Owner::only_b ? 1U : 0U;
    if (!difference.runs.empty()) {
        ContentDifference::Run& last = difference.runs.back();
        if (last.owner == owner && last.offset + last.count * unit == offset) {
            ++last.count;
            return;
        }
    }
    if (difference.runs.size() < limit) {
        difference.runs.push_back({offset, 1, owner});
    }
}

/// The same block, by its index in each machine; nothing where it is missing.
struct BlockPair {
    std::optional<std::size_t> a;
    std::optional<std::size_t> b;
};

class RamComparison {
public:
    RamComparison(const SavedMachine& a, const SavedMachine& b, std::size_t limit) : a_(a), b_(b), limit_(limit) {}

    Status compare(BlockPair blocks, ContentDifference& difference) {
        PageNumber page(0);
        while (const std::optional<PageNumber> group = next_group(blocks, page)) {
            for (std::uint64_t index = 0; index < PageIndex::group_pages; ++index) {
                if (Status compared = compare_page(blocks, PageNumber(group->value() + index), difference); !compared) {
                    return compared;
                }
            }
            page = PageNumber(group->value() + PageIndex::group_pages);
        }
        return {};
    }

private:
    std::optional<PageNumber> next_group(BlockPair blocks, PageNumber page) const {
        const auto a = blocks.a ? a_.ram().next_group(*blocks.a, page) : std::nullopt;
        const auto b = blocks.b ? b_.ram().next_group(*blocks.b, page) : std::nullopt;
        return a && b ? std::optional(std::min(*a, *b)) : a ? a : b;
    }

    Status compare_page(BlockPair blocks, PageNumber page, ContentDifference& difference) {
        const PageIndex::Entry a = blocks.a ? a_.ram().entry(*blocks.a, page) : PageIndex::Entry();
        const PageIndex::Entry b = blocks.b ? b_.ram().entry(*blocks.b, page) : PageIndex::Entry();
        const auto in_memory = [](Kind kind) { return kind == Kind::never_sent || kind == Kind::constant; };
        if (in_memory(a.kind) && in_memory(b.kind) && a.value == b.value) {
            return {};
        }
        if (Status read = read_page(a_.spill(), a, page_a_); !read) {
            return read;
        }
        if (Status read = read_page(b_.spill(), b, page_b_); !read) {
            return read;
        }
        if (page_a_ != page_b_) {
            add(difference, page.value() * page_bytes, page_bytes,
                a.kind == Kind::never_sent   ? Owner::only_b
                : b.kind == Kind::never_sent ? Owner::only_a
                                             : Owner::both,
                limit_);
        }
        return {};
    }

    const SavedMachine& a_;
    const SavedMachine& b_;
    const std::size_t limit_;
    std::array<std::byte, page_bytes> page_a_{};
    std::array<std::byte, page_bytes> page_b_{};
};

std::optional<std::size_t> find_block(const SavedMachine& machine, const std::string& id) {
    const auto& blocks = machine.ram().blocks();
    const auto found = std::find_if(blocks.begin(), blocks.end(), [&](const auto& block) { return block.id == id; });
    return found == blocks.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - blocks.begin()));
}

std::uint64_t size_of(const SavedMachine& machine, std::optional<std::size_t> block) {
    return block ? machine.ram().blocks()[*block].size.value() : 0;
}

/// A chunk's data; zeros for one that is none.
Status read_chunk(const SavedMachine& machine, const ChunkIndex::Place& place, std::vector<std::byte>& bytes) {
    if (!place) {
        bytes.assign(chunk_bytes, std::byte{0});
        return {};
    }
    bytes.resize(chunk_bytes);
    return machine.spill().read_stream(*place, bytes);
}

Status compare_disk(const SavedMachine& a, const SavedMachine& b, const ChunkIndex::Chunks& chunks_a,
                    const ChunkIndex::Chunks& chunks_b, std::size_t limit, ContentDifference& difference) {
    std::vector<std::byte> bytes_a;
    std::vector<std::byte> bytes_b;
    auto at_a = chunks_a.begin();
    auto at_b = chunks_b.begin();
    while (at_a != chunks_a.end() || at_b != chunks_b.end()) {
        const bool has_a = at_a != chunks_a.end() && (at_b == chunks_b.end() || at_a->first <= at_b->first);
        const bool has_b = at_b != chunks_b.end() && (at_a == chunks_a.end() || at_b->first <= at_a->first);
        const std::uint64_t number = has_a ? at_a->first : at_b->first;
        if (Status read = read_chunk(a, has_a ? at_a->second : std::nullopt, bytes_a); !read) {
            return read;
        }
        if (Status read = read_chunk(b, has_b ? at_b->second : std::nullopt, bytes_b); !read) {
            return read;
        }
        if (bytes_a != bytes_b) {
            add(difference, number * chunk_bytes, chunk_bytes,
                !has_b   ? Owner::only_a
                : !has_a ? Owner::only_b
                         : Owner::both,
                limit);
        }
        at_a = has_a ? std::next(at_a) : at_a;
        at_b = has_b ? std::next(at_b) : at_b;
    }
    return {};
}

}  // namespace

Status compare_ram(const SavedMachine& a, const SavedMachine& b, const IgnoredNames& ignored, std::size_t limit,
                   std::vector<ContentDifference>& differences) {
    std::vector<std::string> names;
    std::set<std::string> seen;
    for (const SavedMachine* machine : {&a, &b}) {
        for (const PageIndex::Block& block : machine->ram().blocks()) {
            if (seen.insert(block.id).second && !ignored.matches("ram", 0, block.id)) {
                names.push_back(block.id);
            }
        }
    }
    RamComparison comparison(a, b, limit);
    for (const std::string& name : names) {
        const BlockPair blocks{find_block(a, name), find_block(b, name)};
        ContentDifference difference;
        difference.name = name;
        difference.owner = !blocks.b ? Owner::only_a : !blocks.a ? Owner::only_b : Owner::both;
        difference.bytes_a = size_of(a, blocks.a);
        difference.bytes_b = size_of(b, blocks.b);
        if (Status compared = comparison.compare(blocks, difference); !compared) {
            return compared;
        }
        if (difference.exists()) {
            differences.push_back(std::move(difference));
        }
    }
    return {};
}

Status compare_disks(const SavedMachine& a, const SavedMachine& b, const IgnoredNames& ignored, std::size_t limit,
                     std::vector<ContentDifference>& differences) {
    std::set<std::string> names;
    for (const SavedMachine* machine : {&a, &b}) {
        for (const auto& [name, chunks] : machine->disks().disks()) {
            names.insert(name);
        }
    }
    const ChunkIndex::Chunks none;
    for (const std::string& name : names) {
        if (ignored.matches("block", 0, name)) {
            continue;
        }
        const auto in_a = a.disks().disks().find(name);
        const auto in_b = b.disks().disks().find(name);
        const bool has_a = in_a != a.disks().disks().end();
        const bool has_b = in_b != b.disks().disks().end();
        ContentDifference difference;
        difference.name = name;
        difference.owner = !has_b ? Owner::only_a : !has_a ? Owner::only_b : Owner::both;
        if (Status compared =
                compare_disk(a, b, has_a ? in_a->second : none, has_b ? in_b->second : none, limit, difference);
            !compared) {
            return compared;
        }
        if (difference.exists()) {
            differences.push_back(std::move(difference));
        }
    }
    return {};
}

}  // namespace godwit
