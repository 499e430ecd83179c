#include "tools/ram_extractor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "base/printable.h"
#include "io/system_error.h"

namespace godwit {
namespace {

constexpr mode_t directory_mode = 0777;  // less the umask
/// It is to hold guest memory.
constexpr mode_t file_mode = 0600;
constexpr const char* no_list = "the stream does not list its RAM blocks, so their sizes are unknown";

bool stands_for_itself(char c) {
    constexpr std::string_view others = "-_.@:+=,";
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           others.find(c) != std::string_view::npos;
}

}  // namespace

Result<std::string> extracted_file_name(const std::string& block_id) {
    std::string name;
    for (const char c : block_id) {
        // A point in front would hide the file.
        const bool is_safe = stands_for_itself(c) && !(c == '.' && name.empty());
        name +=
            is_safe ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
    name += ".ram";
    if (block_id.empty() || name.size() > NAME_MAX) {
        return fail(ErrorCode::unsupported,
                    fmt::format("RAM block \"{}\" has a name of which no file's name can be made", block_id));
    }
    return name;
}

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
    Result<std::string> name = extracted_file_name(id);
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
    if (Status opened = open_directory(); !opened) {
        return opened;
    }
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

Status RamExtractor::open_directory() {
    if (::mkdir(directory_.c_str(), directory_mode) != 0 && errno != EEXIST) {
        return fail_errno(ErrorCode::io, fmt::format("cannot make the directory {}", directory_), errno);
    }
    directory_fd_.reset(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory_fd_.valid()) {
        return fail_errno(ErrorCode::io, fmt::format("cannot open the directory {}", directory_), errno);
    }
    return {};
}

Status RamExtractor::make_files() {
    std::vector<MappedMemory::Spec> specs = listed_;
    for (MappedMemory::Spec& spec : specs) {
        if (Status made = make_file(*spec.file); !made) {
            return made;
        }
        spec.file = files_.back();
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

Status RamExtractor::make_file(const std::string& name) {
    const std::string path = directory_ + "/" + name;
    // Always a file of our own: no link that lies there is followed.
    const auto make = [&] {
        return FileDescriptor(
            ::openat(directory_fd_.get(), name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, file_mode));
    };
    FileDescriptor file = make();
    if (!file.valid() && errno == EEXIST && !replace_) {
        return fail(ErrorCode::invalid_argument, fmt::format("{} exists already", path),
                    "name another directory, or replace what is there with --force");
    }
    if (!file.valid() && errno == EEXIST && ::unlinkat(directory_fd_.get(), name.c_str(), 0) == 0) {
        file = make();
    }
    if (!file.valid()) {
        return fail_errno(ErrorCode::io, fmt::format("cannot make {}", path), errno);
    }
    files_.push_back(path);
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
