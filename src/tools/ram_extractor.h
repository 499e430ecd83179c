#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/mapped_memory.h"
#include "ram/loader.h"
#include "tools/extraction_directory.h"
#include "tools/stream_takers.h"

namespace godwit {

/// Puts the memory of a stream into sparse files, one for each RAM block, by the same loader as a destination. Which
/// blocks there are is known from the stream's own list. A claimed size costs two bits per page of it, and nothing on
/// disk. One thread.
class RamExtractor : public RamTaker {
public:
    /// `directory` outlives this. Files are made once the blocks are known.
    explicit RamExtractor(ExtractionDirectory& directory) : directory_(directory) {}

    Status listed_block(const std::string& id, ByteCount used_length) override;
    Status select_block(const std::string& id) override;
    Status zero_page(BlockOffset offset, std::uint8_t fill) override;
    Result<PageTarget> page_target(BlockOffset offset) override;
    Status pages_arrived(BlockOffset offset, PageCount count) override;
    Status overwritten_ahead(BlockOffset offset, PageCount count) override;
    Status xbzrle_page(BlockOffset offset, ConstBuffer encoded) override;

    /// A RAM section has ended. Errors: as of `RamLoader`; of the first list's section, those of making the files:
    /// `io`, `invalid_argument` for one that exists, `memory`. What was made is then removed again.
    Status end_section() override;
    /// The stream has ended, or is broken here: the files hold what came until now. Errors: as of `RamLoader`;
    /// `ram_mismatch` when the stream has no list of blocks.
    Status finish() override;

    /// In the order of the stream's list; empty until they exist.
    std::vector<std::string> files() const override { return files_; }
    /// Why the files cannot be had, which is nothing that the stream has done wrong.
    const Error* obstacle() const override { return obstacle_ ? &*obstacle_ : nullptr; }

    static constexpr std::uint64_t max_total_bytes = std::uint64_t{1} << 40;

private:
    Status add(const std::string& id, ByteCount used_length);
    Status prepare();
    Status make_all();
    Status noted(Status status);
    Status make_files();
    RamRecordVisitor& loader() { return *loader_; }

    ExtractionDirectory& directory_;
    std::vector<MappedMemory::Spec> listed_;
    ByteCount total_;
    std::optional<Error> obstacle_;
    std::vector<std::string> files_;
    std::unique_ptr<MappedMemory> memory_;
    std::unique_ptr<RamLoader> loader_;
};

}  // namespace godwit
