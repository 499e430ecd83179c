#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stream/format.h"
#include "stream/reader.h"
#include "tools/ram_census.h"
#include "tools/ram_extractor.h"

namespace godwit {

/// Reads a saved stream without a machine and tells what is in it, line by line, up to its end or to the place where it
/// is broken.
class StreamInspector {
public:
    /// `print` gets one line at a time, without the line's end. The memory goes to `extractor`, unless it is null.
    StreamInspector(Channel& channel, const Clock& clock, std::function<void(const std::string&)> print,
                    RamExtractor* extractor = nullptr);

    /// Errors say at which byte, in which section, block and offset the stream is broken. Those of the extractor too.
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
    Status read_ram(const char* kind, const Section& section, std::uint64_t at);
    Status read_footer(std::uint32_t id);
    Status read_command(std::uint64_t at);
    Status read_device_part(std::uint64_t at);
    Status read_end(std::uint64_t at);
    void print_summary();
    void line(std::uint64_t at, std::uint64_t bytes, const std::string& what);

    StreamReader reader_;
    std::function<void(const std::string&)> print_;
    RamRecordDecoder decoder_;
    RamExtractor* const extractor_;
    RamCensus census_;
    std::map<std::uint32_t, Section> sections_;
    bool configuration_ = false;
    std::optional<bool> footers_;
    bool ended_ = false;
};

}  // namespace godwit
