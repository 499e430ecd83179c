#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stream/format.h"
#include "stream/reader.h"
#include "tools/disk_census.h"
#include "tools/ram_census.h"
#include "tools/stream_listener.h"
#include "tools/stream_takers.h"

namespace godwit {

/// Reads a saved stream without a machine and tells what is in it, up to its end or to the place where it is broken.
class StreamInspector {
public:
    /// Who wants to have what is in the stream; may be null.
    struct Takers {
        RamTaker* ram = nullptr;
        DiskTaker* disks = nullptr;
    };

    /// All outlive it.
    StreamInspector(Channel& channel, const Clock& clock, StreamListener& listener, Takers takers);
    StreamInspector(Channel& channel, const Clock& clock, StreamListener& listener)
        : StreamInspector(channel, clock, listener, Takers{}) {}

    /// Errors say at which byte, in which section, block and offset the stream is broken. Those of the takers too.
    /// Their messages are fit to print.
    Status inspect();
    /// The same, but the errors are told as they are, and those of the takers only if they object to the stream.
    Status walk();
    /// How far it is. The reading thread, from within the channel too.
    std::uint64_t position() const { return reader_.position(); }

private:
    struct Section {
        std::string name;
        std::uint32_t instance = 0;
        std::uint32_t version = 0;
    };

    Status read_all();
    Status read_header();
    Status read_configuration();
    Status read_configuration_subsection(StreamConfiguration& configuration);
    Status read_section(format::SectionType type, std::uint64_t at);
    Status read_body(const IteratedSection& piece, std::uint64_t at);
    Status read_ram(const IteratedSection& piece, std::uint64_t at);
    Status read_disks(const IteratedSection& piece, std::uint64_t at);
    Status read_footer(std::uint32_t id);
    Status read_command(std::uint64_t at);
    Status read_device_part(std::uint64_t at);
    Status tell_devices(std::uint64_t at, const std::shared_ptr<const DevicePart>& part);
    Status tell_commands(std::uint64_t at, const DevicePart& part, std::size_t from, std::size_t end);
    Status read_end(std::uint64_t at);
    const Error* obstacle() const;
    StreamExtent since(std::uint64_t at) const { return {at, reader_.position() - at}; }

    StreamReader reader_;
    StreamListener& listener_;
    const Takers takers_;
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
