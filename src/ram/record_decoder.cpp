#include "ram/record_decoder.h"

#include <fmt/format.h>

#include <algorithm>

#include "ram/page_run_reader.h"
#include "stream/format.h"

namespace godwit {

using namespace format::ram_flag;

Status RamRecordVisitor::direct_pages() {
    return fail(ErrorCode::stream_corrupt, "the stream speaks of pages that come another way, but there is none",
                "only a migration over rdma: has such streams; they cannot be kept");
}

Result<PageTarget> RamRecordVisitor::run_target(BlockOffset offset, PageCount) {
    return page_target(offset);
}

Status RamRecordDecoder::decode_section(StreamReader& reader, RamRecordVisitor& visitor) {
    // Bounded by the stream: every record consumes bytes, and a stream that has ended makes the reader fail.
    for (;;) {
        const std::uint64_t head = reader.get_u64();
        if (!reader.ok()) {
            return reader.status();
        }
        const std::uint64_t flags = head & all;
        if (flags == eos) {
            reader.set_read_ahead_to_most();
            return {};
        }
        // After a run usually comes the next one.
        if ((flags & page_run) != 0) {
            reader.set_read_ahead(format::run_head_bytes);
        } else {
            reader.set_read_ahead_to_most();
        }
        Status done = flags == mem_size ? decode_block_list(reader, visitor, ByteCount(head & ~all))
                      : head == direct  ? decode_direct_pages(reader, visitor)
                                        : decode_page_record(head, reader, visitor);
        if (!done) {
            return done;
        }
    }
}

Status RamRecordDecoder::decode_block_list(StreamReader& reader, RamRecordVisitor& visitor, ByteCount total) {
    while (total.value() > 0) {
        const std::string id = reader.get_string8();
        const ByteCount used_length(reader.get_u64());
        if (!reader.ok()) {
            return reader.status();
        }
        if (used_length > total || used_length.value() == 0) {
            return fail(ErrorCode::stream_corrupt,
                        fmt::format("RAM block \"{}\" has {} bytes, but the list has only {} left", id,
                                    used_length.value(), total.value()));
        }
        if (Status listed = visitor.listed_block(id, used_length); !listed) {
            return listed;
        }
        total -= used_length;
    }
    return {};
}

Status RamRecordDecoder::decode_direct_pages(StreamReader& reader, RamRecordVisitor& visitor) {
    if (reader.buffered() > 0) {
        return fail(ErrorCode::stream_corrupt, "the stream goes on while pages are written past it");
    }
    return visitor.direct_pages();
}

Status RamRecordDecoder::select_block(std::uint64_t head, StreamReader& reader, RamRecordVisitor& visitor) {
    if ((head & same_block) != 0) {
        if (!block_selected_) {
            return fail(ErrorCode::stream_corrupt, "the first page record of the stream names no RAM block");
        }
        return {};
    }
    const std::string id = reader.get_string8();
    if (!reader.ok()) {
        return reader.status();
    }
    block_selected_ = true;
    return visitor.select_block(id);
}

Status RamRecordDecoder::decode_page_record(std::uint64_t head, StreamReader& reader, RamRecordVisitor& visitor) {
    const std::uint64_t kind = head & all & ~same_block;
    if (kind != zero && kind != page && kind != xbzrle && kind != page_run) {
        return fail(ErrorCode::stream_corrupt, fmt::format("RAM record with unknown flags 0x{:x}", head & all),
                    "the source uses a capability that is not supported here");
    }
    if (Status selected = select_block(head, reader, visitor); !selected) {
        return selected;
    }
    const BlockOffset offset(head & ~all);
    if (kind == page) {
        return decode_pages(offset, reader, visitor);
    }
    if (kind == page_run) {
        return decode_page_run(offset, reader, visitor);
    }
    if (kind == xbzrle) {
        return decode_xbzrle(offset, reader, visitor);
    }
    const std::uint8_t fill = reader.get_u8();
    return reader.ok() ? visitor.zero_page(offset, fill) : reader.status();
}

Status RamRecordDecoder::decode_pages(BlockOffset offset, StreamReader& reader, RamRecordVisitor& visitor) {
    Result<PageTarget> target = visitor.page_target(offset);
    if (!target) {
        return fail(target.error());
    }
    if (target->pages_ahead == 0) {
        reader.get_bytes({target->host, page_bytes});
        return reader.ok() ? visitor.pages_arrived(offset, PageCount(1)) : reader.status();
    }
    const PageRun run = read_page_run(offset, *target, reader);
    if (run.arrived.value() > 0) {
        if (Status arrived = visitor.pages_arrived(offset, run.arrived); !arrived) {
            return arrived;
        }
    }
    if (run.overwritten.value() > 0) {
        const BlockOffset first(offset.value() + run.arrived.value() * page_bytes);
        if (Status restored = visitor.overwritten_ahead(first, run.overwritten); !restored) {
            return restored;
        }
    }
    return reader.status();
}

Status RamRecordDecoder::decode_page_run(BlockOffset offset, StreamReader& reader, RamRecordVisitor& visitor) {
    std::uint64_t left = reader.get_u32();
    if (!reader.ok()) {
        return reader.status();
    }
    if (left == 0 || left > format::max_run_pages) {
        return fail(ErrorCode::stream_corrupt, fmt::format("a run of {} pages", left));
    }
    visitor.run_begins(PageCount(left));
    while (left > 0) {
        const Result<PageTarget> target = visitor.run_target(offset, PageCount(left));
        if (!target) {
            return fail(target.error());
        }
        const std::uint64_t pages = std::min<std::uint64_t>(left, 1 + target->pages_ahead);
        reader.get_bytes({target->host, pages * page_bytes});
        if (!reader.ok()) {
            return reader.status();
        }
        if (Status arrived = visitor.pages_arrived(offset, PageCount(pages)); !arrived) {
            return arrived;
        }
        offset = BlockOffset(offset.value() + pages * page_bytes);
        left -= pages;
    }
    return {};
}

Status RamRecordDecoder::decode_xbzrle(BlockOffset offset, StreamReader& reader, RamRecordVisitor& visitor) {
    const std::uint8_t encoding = reader.get_u8();
    const std::uint16_t length = reader.get_u16();
    if (!reader.ok()) {
        return reader.status();
    }
    if (encoding != format::xbzrle_encoding || length > page_bytes) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("XBZRLE record with encoding {} and {} bytes", encoding, length));
    }
    delta_.resize(length);
    reader.get_bytes(delta_);
    return reader.ok() ? visitor.xbzrle_page(offset, delta_) : reader.status();
}

}  // namespace godwit
