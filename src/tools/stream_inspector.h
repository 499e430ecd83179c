#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stream/format.h"
#include "stream/reader.h"
#include "tools/disk_census.h"
#include "tools/disk_extractor.h"
#include "tools/ram_census.h"
#include "tools/ram_extractor.h"

namespace godwit {

/// Reads a saved stream without a machine and tells what is in it, line by line, up to its end or to the place where it
/// is broken.
class StreamInspector {
public:
    /// Who wants to have what is in the stream; may be null.
    struct Extractors {
        RamExtractor* ram = nullptr;
        DiskExtractor* disks = nullptr;
    };

    /// `print` gets one line at a time, without the line's end.
    StreamInspector(Channel& channel, const Clock& clock, std::function<void(const std::string&)> print,
                    Extractors extractors);
    StreamInspector(Channel& channel, const Clock& clock, std::function<void(const std::string&)> print)
        : StreamInspector(channel, clock, std::move(print), Extractors{}) {}

    /// Errors say at which byte, in which section, block and offset the stream is broken. Those of the extractors too.
    Status inspect();

private:
    struct Section {
        std::string name;
        std::uint32_t instance = 0;
    };

    Status read_all();
    Status read_header();
    Status read_configuration();
    Status read_section(format::SectionType type, std::uint64_t at);
    Status read_body(format::SectionType type, const Section& section, std::uint64_t at);
    Status read_ram(const char* kind, std::uint64_t at);
    Status read_disks(const char* kind, std::uint64_t at);
    Status read_footer(std::uint32_t id);
    Status read_command(std::uint64_t at);
    Status read_device_part(std::uint64_t at);
    Status read_end(std::uint64_t at);
    void print_summary();
    const Error* obstacle() const;
    void line(std::uint64_t at, std::uint64_t bytes, const std::string& what);

    StreamReader reader_;
    std::function<void(const std::string&)> print_;
    const Extractors extractors_;
    RamRecordDecoder ram_decoder_;
    RamCensus ram_;
    DiskRecordDecoder disk_decoder_;
    DiskCensus disks_;
    std::map<std::uint32_t, Section> sections_;
    bool configuration_ = false;
    std::optional<bool> footers_;
    bool ended_ = false;
};

}  // namespace godwit
