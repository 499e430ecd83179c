#pragma once

#include <optional>
#include <string>
#include <vector>

#include "block/record_decoder.h"
#include "tools/extraction_directory.h"
#include "tools/stream_takers.h"

namespace godwit {

/// Puts the disks of a stream into sparse files, one for each, NAME.disk. A chunk takes room only where it is not all
/// zeros. Which disks there are, and how large they are, the stream does not tell: a file is made when its first chunk
/// comes, and ends where the last chunk ends. One thread.
class DiskExtractor : public DiskTaker {
public:
    /// `directory` outlives this.
    explicit DiskExtractor(ExtractionDirectory& directory) : directory_(directory) {}

    Result<std::span<std::byte>> chunk_target(std::string_view disk, DiskOffset offset) override;
    Status chunk_arrived(std::string_view disk, DiskOffset offset) override;
    Status zero_chunk(std::string_view disk, DiskOffset offset) override;
    Status progress(unsigned) override { return {}; }

    /// In the order in which the disks came.
    std::vector<std::string> files() const override;
    /// Why the files cannot be had, which is nothing that the stream has done wrong. The files that are there stay as
    /// they came until then; where one cannot even be made, all are removed again.
    const Error* obstacle() const override { return obstacle_ ? &*obstacle_ : nullptr; }

    /// Files that are open at the same time.
    static constexpr std::size_t max_disks = 256;

private:
    struct Image {
        std::string disk;
        ExtractionDirectory::File file;
        std::uint64_t size_bytes = 0;
    };

    Result<Image*> image_of(std::string_view disk);
    Result<Image> make_image(std::string_view disk);
    Status put_data(Image& image, DiskOffset offset);
    Status put_zeros(Image& image, DiskOffset offset);
    Status extend(Image& image, std::uint64_t end);
    Status noted(Status status);

    ExtractionDirectory& directory_;
    std::vector<Image> images_;
    std::optional<Error> obstacle_;
    std::vector<std::byte> chunk_;  // where the data of one goes, once there is one
};

}  // namespace godwit
