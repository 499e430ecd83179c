#include "tools/ram_extractor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

namespace godwit {
namespace {

constexpr const char* no_list = "the stream does not list its RAM blocks, so their sizes are unknown";

}  // namespace

Status RamExtractor::listed_block(const std::string& id, ByteCount used_length) {
    if (loader_) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("RAM block \"{}\" is listed after the list of blocks has ended", id));
    }
    return noted(add(id, used_length));
}

Status RamExtractor::noted(Status status) {
    if (!status) {
        obstacle_ = status.error();
    }
    return status;
}

Status RamExtractor::add(const std::string& id, ByteCount used_length) {
    Result<std::string> name = extracted_file_name(id, ".ram");
    if (!name) {
        return fail(name.error());
    }
    if (used_length.value() > max_total_bytes - total_.value()) {
        return fail(ErrorCode::unsupported,
                    fmt::format("the stream claims more memory than the {} bytes that are extracted at most: {} bytes "
                                "for RAM block \"{}\" after {} for others",
                                max_total_bytes, used_length.value(), id, total_.value()));
    }
    total_ += used_length;
    listed_.push_back({.id = id, .size = used_length, .file = std::move(*name)});
    return {};
}

Status RamExtractor::prepare() {
    if (loader_) {
        return {};
    }
    if (listed_.empty()) {
        return fail(ErrorCode::ram_mismatch, no_list);
    }
    return noted(make_all());
}

Status RamExtractor::make_all() {
    Status made = make_files();
    if (!made) {
        loader_.reset();
        memory_.reset();
        for (const std::string& file : std::exchange(files_, {})) {
            ::unlink(file.c_str());
        }
    }
    return made;
}

Status RamExtractor::make_files() {
    std::vector<MappedMemory::Spec> specs = listed_;
    for (MappedMemory::Spec& spec : specs) {
        const Result<ExtractionDirectory::File> made = directory_.make_file(*spec.file);
        if (!made) {
            return fail(made.error());
        }
        files_.push_back(made->path);
        spec.file = made->path;
    }
    Result<std::unique_ptr<MappedMemory>> memory = MappedMemory::create(std::move(specs));
    if (!memory) {
        return fail(memory.error());
    }
    memory_ = std::move(*memory);
    loader_ = std::make_unique<RamLoader>(*memory_);
    for (const MappedMemory::Spec& spec : listed_) {
        if (Status listed = loader().listed_block(spec.id, spec.size); !listed) {
            return listed;
        }
    }
    return {};
}

Status RamExtractor::select_block(const std::string& id) {
    // From here on the decoder has chosen a block, so the loader exists for whatever follows.
    Status prepared = prepare();
    return prepared ? loader().select_block(id) : prepared;
}

Status RamExtractor::zero_page(BlockOffset offset, std::uint8_t fill) {
    return loader().zero_page(offset, fill);
}

Result<PageTarget> RamExtractor::page_target(BlockOffset offset) {
    return loader().page_target(offset);
}

Status RamExtractor::pages_arrived(BlockOffset offset, PageCount count) {
    return loader().pages_arrived(offset, count);
}

Status RamExtractor::overwritten_ahead(BlockOffset offset, PageCount count) {
    return loader().overwritten_ahead(offset, count);
}

Status RamExtractor::xbzrle_page(BlockOffset offset, ConstBuffer encoded) {
    return loader().xbzrle_page(offset, encoded);
}

Status RamExtractor::end_section() {
    if (!loader_ && listed_.empty()) {
        return {};
    }
    Status prepared = prepare();
    return prepared ? loader_->end_section() : prepared;
}

Status RamExtractor::finish() {
    return loader_ ? loader_->finish() : fail(ErrorCode::ram_mismatch, no_list);
}

}  // namespace godwit
